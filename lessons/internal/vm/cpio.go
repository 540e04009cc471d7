package vm

import (
	"bytes"
	"fmt"
	"path"
)

// archive is a cpio archive in the form that the kernel unpacks as its first root file
// system: "newc" of cpio(5), described in the kernel's early-userspace/buffer-format.
type archive struct {
	bytes.Buffer
	entries int
	dirs    map[string]bool
}

const (
	regular   = 0o100000
	directory = 0o040000
	symlink   = 0o120000
)

// file adds a regular file, and the directories above it. Paths are absolute.
func (a *archive) file(name string, mode int, content []byte) {
	a.above(name)
	a.entry(name, regular|mode, content)
}

// link adds a symbolic link.
func (a *archive) link(name, target string) {
	a.above(name)
	a.entry(name, symlink|0o777, []byte(target))
}

// dir adds a directory, once.
func (a *archive) dir(name string) {
	if name == "/" || a.dirs[name] {
		return
	}
	a.above(name)
	if a.dirs == nil {
		a.dirs = map[string]bool{}
	}
	a.dirs[name] = true
	a.entry(name, directory|0o755, nil)
}

func (a *archive) above(name string) { a.dir(path.Dir(name)) }

// entry writes a header of thirteen hexadecimal numbers, the name and the content, each
// filled up to a multiple of four bytes.
func (a *archive) entry(name string, mode int, content []byte) {
	a.entries++
	name = name[1:]
	fields := [13]int{a.entries, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0}
	a.WriteString("070701")
	for _, n := range fields {
		fmt.Fprintf(a, "%08x", n)
	}
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}

// finish writes the entry that ends an archive.
func (a *archive) finish() []byte {
	a.entry("/TRAILER!!!", 0, nil)
	return a.Bytes()
}
