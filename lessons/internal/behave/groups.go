package behave

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// group is the cgroup of a process in the tree that has a controller, as a directory, and
// whether that tree is of version 2. Without a controller's name it is the version 2 tree.
// Where a controller is, is the host's affair: /proc/PID/cgroup and mountinfo say it.
func (k kernel) group(process, controller string) (dir string, v2 bool, err error) {
	var ofV2 string
	for line := range strings.Lines(k.text(process + "/cgroup")) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(f) != 3:
			return "", false, fmt.Errorf("%s/cgroup: %q", process, line)
		case f[1] == "":
			ofV2 = f[2]
		case slices.Contains(strings.Split(f[1], ","), controller):
			mount, root, err := k.tree(controller)
			return filepath.Join(mount, strings.TrimPrefix(f[2], root)), false, err
		}
	}
	mount, root, err := k.tree("")
	return filepath.Join(mount, strings.TrimPrefix(ofV2, root)), true, err
}

// tree is where a tree is mounted, and which of its groups is the root there: that of
// version 2, or the one of version 1 with a controller.
func (k kernel) tree(controller string) (mount, root string, err error) {
	for line := range strings.Lines(k.text(host + "/mountinfo")) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		isV1 := right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), controller)
		if isV1 || controller == "" && right[0] == "cgroup2" {
			return left[4], strings.TrimSuffix(left[3], "/"), nil
		}
	}
	return "", "", fmt.Errorf("no cgroup tree with %q is mounted", controller)
}

// hasController reports whether groups can have a controller here.
func (k kernel) hasController(controller string) bool {
	if _, _, err := k.tree(controller); controller != "" && err == nil {
		return true
	}
	mount, _, err := k.tree("")
	data, _ := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(data)), controller)
}

// limit is what a container's group has in a file of version 2 or of version 1. The names
// begin with their controllers'.
func (c *Container) limit(v2, v1 string) string {
	name := func(file string) string { name, _, _ := strings.Cut(file, "."); return name }
	dir, isV2, err := c.box.group(c.pid(), name(v1))
	if err != nil {
		return err.Error()
	}
	file := v1
	if isV2 {
		file = v2
	}
	return contentOf(filepath.Join(dir, file))
}

// contentOf is a file's content, or what is wrong with it.
func contentOf(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return words(string(data))
}

// counter is the number after a word in a file of lines "word number".
func counter(text, word string) int {
	fields := strings.Fields(text)
	i := slices.Index(fields, word)
	if i < 0 || i+1 == len(fields) {
		return -1
	}
	n, _ := strconv.Atoi(fields[i+1])
	return n
}

// gone waits a moment until a directory is no more, and removes it when it stays.
func gone(dir string) string {
	for range 100 {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return "gone"
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "still there"
}

var named atomic.Int64

// ourName is a name for a group that no other process has: neither another check nor another process.
func ourName() string { return fmt.Sprintf("stagebox-check-%d-%d", os.Getpid(), named.Add(1)) }

// belowRoots are the lines of /proc/PID/cgroup about the trees in which a process is not in the
// root. A tree in which no process is elsewhere may have come or gone since another line was read.
func (k kernel) belowRoots(process string) (groups string) {
	for line := range strings.Lines(k.text(process + "/cgroup")) {
		if !strings.HasSuffix(line, ":/\n") {
			groups += line
		}
	}
	return groups
}

// nursery is a group of ours in every tree, for --cgroup-parent: in there no other's
// box tidies up. done removes it.
func (b *Box) nursery() (name string, done func(), err error) {
	name = ourName()
	var dirs []string
	done = func() {
		for _, dir := range dirs {
			left, _ := filepath.Glob(dir + "/box*")
			for _, group := range left {
				os.Remove(group)
			}
			os.Remove(dir)
		}
	}
	for line := range strings.Lines(b.text(host + "/mountinfo")) {
		if before, after, _ := strings.Cut(line, " - "); strings.HasPrefix(after, "cgroup") {
			dir := filepath.Join(strings.Fields(before)[4], name)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				done()
				return "", nil, err
			}
			dirs = append(dirs, dir)
		}
	}
	return name, done, nil
}
