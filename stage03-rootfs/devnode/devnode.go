// Package devnode describes device nodes: those that every container has, with the links beside
// them, those of the host, and those that --device names. The lesson reads Default.
package devnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Node is a device node: where it is on the host, where inside, and what may be done.
type Node struct {
	Source, Target string
	Kind           uint32 // unix.S_IFCHR or unix.S_IFBLK
	Major, Minor   uint32
	Mode           uint32
	Access         string // of r, w and m
}

// Default are those of every container. /dev/tty is each process's own terminal.
var Default = []Node{
	{"/dev/null", "/dev/null", unix.S_IFCHR, 1, 3, 0o666, "rwm"},
	{"/dev/zero", "/dev/zero", unix.S_IFCHR, 1, 5, 0o666, "rwm"},
	{"/dev/full", "/dev/full", unix.S_IFCHR, 1, 7, 0o666, "rwm"},
	{"/dev/random", "/dev/random", unix.S_IFCHR, 1, 8, 0o666, "rwm"},
	{"/dev/urandom", "/dev/urandom", unix.S_IFCHR, 1, 9, 0o666, "rwm"},
	{"/dev/tty", "/dev/tty", unix.S_IFCHR, 5, 0, 0o666, "rwm"},
}

// Link is a symbolic link in /dev.
type Link struct{ Name, Target string }

// Links are those of every container: to what the process itself has open, and to the terminals of its
// own /dev/pts. A kernel may have no /proc/kcore.
func Links() []Link {
	list := []Link{{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}}
	if _, err := os.Stat("/proc/kcore"); err == nil {
		list = append(list, Link{"core", "/proc/kcore"})
	}
	return list
}

// Parse reads DEV, DEV:DEV, DEV:RWM or DEV:DEV:RWM: a device of the host, the path of its node in
// /dev inside, and what is allowed.
func Parse(spec string) (Node, error) {
	parts := strings.Split(spec, ":")
	access := "rwm"
	if last := parts[len(parts)-1]; len(parts) > 1 && last != "" && strings.Trim(last, "rwm") == "" {
		access, parts = last, parts[:len(parts)-1]
	}
	source, target := parts[0], parts[len(parts)-1]
	target = path.Clean(target)
	if len(parts) > 2 || !strings.HasPrefix(target, "/dev/") {
		return Node{}, errors.New("give the device, the path of its node in /dev inside, and of r, w and m what is allowed: /dev/fuse:/dev/fuse:rw")
	}
	info, err := os.Stat(source)
	if err != nil {
		return Node{}, err
	}
	n, ok := describe(source, info)
	if !ok {
		return n, fmt.Errorf("%s is not a device; -v shows a file or directory inside", source)
	}
	n.Target, n.Access = target, access
	return n, nil
}

// describe returns a node of the host's.
func describe(path string, info fs.FileInfo) (Node, bool) {
	var st unix.Stat_t
	if info.Mode()&fs.ModeDevice == 0 || unix.Stat(path, &st) != nil {
		return Node{}, false
	}
	major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
	return Node{path, path, st.Mode & unix.S_IFMT, major, minor, st.Mode & 0o777, "rwm"}, true
}

// hostNodes returns all devices in the host's /dev, apart from terminals, of which a container has its
// own.
func hostNodes() []Node {
	var list []Node
	skip := []string{"/dev/pts", "/dev/shm", "/dev/mqueue"} // directories: /dev/fd is a link
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || slices.Contains(skip, path) {
			return fs.SkipDir
		}
		if info, err := entry.Info(); err == nil && path != "/dev/ptmx" && path != "/dev/console" {
			if n, ok := describe(path, info); ok {
				list = append(list, n)
			}
		}
		return nil
	}
	if err := filepath.WalkDir("/dev", walk); err != nil {
		return Default
	}
	return list
}

// Select are the devices of a container: all of the host's, or else the default ones, and those that
// --device names, each in place of another at its target.
func Select(specs []string, all bool) ([]Node, error) {
	nodes := slices.Clone(Default)
	if all {
		nodes = hostNodes()
	}
	for _, spec := range specs {
		d, err := Parse(spec)
		if err != nil {
			return nil, fmt.Errorf("--device %s: %w", spec, err)
		}
		nodes = slices.DeleteFunc(nodes, func(o Node) bool { return o.Target == d.Target })
		nodes = append(nodes, d)
	}
	return nodes, nil
}
