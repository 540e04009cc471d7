// Package cgroupfs finds the mounted hierarchies of cgroups, of either version (cgroups(7)),
// and the place of a process in each, and reads the small files that a cgroup has. Files are
// read without errors: a group may end at any time, and a kernel may lack any of its files.
// The lesson reads Tree, Trees, Remove, BlockIO and Pressure.
package cgroupfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
)

// Tree is a mounted hierarchy of cgroups.
type Tree struct {
	Mount       string
	V2          bool
	Controllers []string // those of a hierarchy of version 1, under version 1's names
	Place       string   // the cgroup of the process, a path from Mount on
}

// Trees returns the hierarchies with the place of a process in each. Where they are mounted is
// the host's choice, so they are found in /proc/self/mountinfo.
func Trees(pid int) ([]Tree, error) {
	mounts, err := rawfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	places, err := rawfile.Read(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	return parse(string(mounts), string(places)), nil
}

// parse reads lines of mountinfo, "id parent dev root mountpoint options … - type source
// options", and of /proc/PID/cgroup, "id:controllers:path" (proc(5)).
func parse(mounts, places string) []Tree {
	var list []Tree
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if len(head) < 5 || len(tail) < 3 || tail[0] != "cgroup" && tail[0] != "cgroup2" {
			continue
		}
		t := Tree{Mount: unescape.Replace(head[4]), V2: tail[0] == "cgroup2"}
		t.locate(unescape.Replace(head[3]), strings.Split(tail[2], ","), places)
		if !slices.ContainsFunc(list, t.sameAs) { // one may be mounted twice
			list = append(list, t)
		}
	}
	return list
}

// unescape undoes how mountinfo writes what would break a line apart. The names that systemd makes
// have backslashes; in /proc/PID/cgroup they are as they are.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// locate finds the line of /proc/PID/cgroup for a mount of the cgroup root. In version 1 the
// mount's options have the controllers among them.
func (t *Tree) locate(root string, options []string, places string) {
	for place := range strings.Lines(places) {
		f := strings.SplitN(strings.TrimSpace(place), ":", 3)
		if len(f) != 3 || t.V2 != (f[1] == "") {
			continue
		}
		controllers := strings.Split(f[1], ",")
		if !t.V2 && !slices.Contains(options, controllers[0]) {
			continue
		}
		t.Place = below(root, f[2])
		if !t.V2 {
			t.Controllers = controllers
		}
	}
}

// below is a path from root on. One that is not in root stays as it is.
func below(root, path string) string {
	rest, found := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	if !found || rest != "" && rest[0] != '/' {
		rest = path
	}
	return "/" + strings.Trim(rest, "/")
}

func (t Tree) sameAs(other Tree) bool {
	return other.V2 == t.V2 && slices.Equal(other.Controllers, t.Controllers)
}

// Chain returns the directories from root down to dir, both included.
func Chain(root, dir string) []string {
	list := []string{dir}
	for dir != root && dir != "/" {
		dir = filepath.Dir(dir)
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}

// Words returns the words of a file; none if it cannot be read.
func Words(path string) []string {
	data, _ := rawfile.Read(path)
	return strings.Fields(string(data))
}

// Field returns the number after a word in a file of lines "word number"; 0 if there is none.
func Field(path, word string) int64 {
	data, _ := rawfile.Read(path)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == word {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// Number returns the number in a file; -1 for "max", and if there is none.
func Number(path string) int64 {
	data, _ := rawfile.Read(path)
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Limit returns the number in a file; 0 if the file says, in either version's way, that there
// is no limit.
func Limit(path string) int64 {
	if n := Number(path); n > 0 && n < 1<<60 {
		return n
	}
	return 0
}

// BlockIO adds up the bytes that a group has read from and written to all devices. Version 2 has
// "8:0 rbytes=1 wbytes=2 …" in io.stat, and version 1 "8:0 Read 1" and "8:0 Write 2" in
// blkio.throttle.io_service_bytes.
func BlockIO(path string) (read, written int64) {
	list := Words(path)
	for i, word := range list {
		name, value, v2 := strings.Cut(word, "=")
		if !v2 && i+1 < len(list) {
			value = list[i+1]
		}
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "rbytes", "Read":
			read += n
		case "wbytes", "Write":
			written += n
		}
	}
	return read, written
}

// Pressure is the part of the last ten seconds, in percent, in which some process of a group waited
// for CPU, memory and block IO, such as "1.00/0.00/2.50"; empty where the kernel does not count it
// (PSI), and for a dir of "".
func Pressure(dir string) string {
	var list []string
	if dir == "" {
		return ""
	}
	for _, what := range []string{"cpu", "memory", "io"} {
		if w := Words(filepath.Join(dir, what+".pressure")); len(w) > 1 {
			list = append(list, strings.TrimPrefix(w[1], "avg10="))
		}
	}
	return strings.Join(list, "/")
}

// Numbers are those in the files of a name, in a group and in those below it. A group may go while
// it is read.
func Numbers(dir, name string) (list []int) {
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == name {
			for _, word := range Words(path) {
				number, _ := strconv.Atoi(word)
				list = append(list, number)
			}
		}
		return nil
	})
	return list
}

// Below returns the directories of the groups below a directory whose name is one that is asked for.
// It does not look into these. A group may go while it is looked for.
func Below(dir string, is func(name string) bool) (list []string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !is(d.Name()) {
			return nil
		}
		list = append(list, path)
		return fs.SkipDir
	})
	return list
}

// Remove removes the directory of a group, after those of the groups below it; one that has gone
// already is no error. A group with a process in it stays (EBUSY), and so do those above it.
func Remove(dir string) error {
	if err := unix.Rmdir(dir); err == nil || err == unix.ENOENT {
		return nil
	}
	list, _ := os.ReadDir(dir)
	for _, entry := range list {
		if !entry.IsDir() {
			continue
		}
		if err := Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	if err := unix.Rmdir(dir); err != unix.ENOENT {
		return err
	}
	return nil
}

// Thaw writes 0 to the file that stops the processes of a group of version 2, if it is still there:
// they go on. Only later stages use it.
func Thaw(file string) error {
	var fs unix.Statfs_t
	err := unix.Statfs(file, &fs)
	if err == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		err = os.WriteFile(file, []byte("0"), 0)
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// HowToGetOne says how an ordinary user comes to a group. The directory systemd is there where
// systemd runs.
func HowToGetOne(systemd string) string {
	if _, err := os.Stat(systemd); err == nil {
		return "systemd makes you one: systemd-run --user --scope -p Delegate=yes box run …"
	}
	return "no systemd runs here to make one: as root, make a directory in each tree of cgroups, " +
		"chown -R it to yourself, and move your shell into it"
}

// HasBFQ reports whether a block device of this host can have the I/O scheduler BFQ, and so a group
// of version 2 the scheduler's weight. Devices is /sys/block, where each device lists the schedulers
// that are loaded (the kernel's block/switching-sched). An OCI runtime asks before it sets a bundle's weight.
func HasBFQ(devices string) bool {
	lists, _ := filepath.Glob(filepath.Join(devices, "*/queue/scheduler"))
	return slices.ContainsFunc(lists, func(list string) bool {
		names, err := os.ReadFile(list)
		return err == nil && slices.Contains(strings.FieldsFunc(string(names), isBetweenNames), "bfq")
	})
}

// isBetweenNames reports whether a character separates schedulers: "none mq-deadline [bfq]".
func isBetweenNames(c rune) bool { return strings.ContainsRune(" []\n", c) }
