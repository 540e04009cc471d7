package vm

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// archive is a cpio archive in the form that the kernel unpacks as its first root file
// system: "newc" of cpio(5), described in the kernel's early-userspace/buffer-format. It is
// written as files are added; an error that occurs is returned by finish.
type archive struct {
	out     io.Writer
	size    int64
	entries int
	there   map[string]bool
	err     error
}

const (
	regular   = 0o100000
	directory = 0o040000
	symlink   = 0o120000
)

// file adds a regular file of some size, and the directories above it. Paths are absolute. What
// was added before stays.
func (a *archive) file(name string, mode int, size int64, content io.Reader) {
	if a.isNew(name) {
		a.entry(name, regular|mode, size, content)
	}
}

// text adds a file that is written here.
func (a *archive) text(name string, mode int, content string) {
	a.file(name, mode, int64(len(content)), strings.NewReader(content))
}

// link adds a symbolic link.
func (a *archive) link(name, target string) {
	if a.isNew(name) {
		a.entry(name, symlink|0o777, int64(len(target)), strings.NewReader(target))
	}
}

// dir adds a directory.
func (a *archive) dir(name string, mode int) {
	if a.isNew(name) {
		a.entry(name, directory|mode, 0, nil)
	}
}

// isNew reports whether a path was not added yet, and adds the directories above it.
func (a *archive) isNew(name string) bool {
	if name == "/" || a.there[name] {
		return false
	}
	a.dir(path.Dir(name), 0o755)
	if a.there == nil {
		a.there = map[string]bool{}
	}
	a.there[name] = true
	return true
}

// entry writes a header of thirteen hexadecimal numbers, the name and the content, each
// filled up to a multiple of four bytes.
func (a *archive) entry(name string, mode int, size int64, content io.Reader) {
	a.entries++
	name = name[1:]
	fields := [13]int64{int64(a.entries), int64(mode), 0, 0, 1, 0, size, 0, 0, 0, 0, int64(len(name) + 1), 0}
	header := "070701"
	for _, n := range fields {
		header += fmt.Sprintf("%08x", n)
	}
	a.copy(int64(len(header)+len(name)+1), strings.NewReader(header+name+"\x00"))
	a.copy(size, content)
}

// copy writes so many bytes, and zeros up to a multiple of four.
func (a *archive) copy(size int64, content io.Reader) {
	if a.err != nil || size == 0 {
		return
	}
	if _, a.err = io.CopyN(a.out, content, size); a.err != nil {
		return
	}
	a.size += size
	fill := (4 - a.size%4) % 4
	a.size += fill
	_, a.err = a.out.Write(make([]byte, fill))
}

// finish writes the entry that ends an archive.
func (a *archive) finish() error {
	a.entry("/TRAILER!!!", 0, 0, nil)
	return a.err
}
