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
		a.write(node{name: name, mode: symlink | 0o777, links: 1, target: target})
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

// entry adds a file of root's.
func (a *archive) entry(name string, mode int, size int64, content io.Reader) {
	a.write(node{name: name, mode: mode, links: 1, size: size, content: content})
}

// node is a file as the archive has it. Those of one number are links to one file, whose content
// is that of the first; 0 is a new number.
type node struct {
	number, mode, uid, gid, links int
	name                          string
	time, major, minor            int64 // of the last change, in seconds; and a device's numbers
	size                          int64
	content                       io.Reader
	target                        string // of a symbolic link: its content
}

// write writes a header of thirteen hexadecimal numbers, the name and the content, each
// filled up to a multiple of four bytes. It returns the file's number.
func (a *archive) write(n node) int {
	if n.number == 0 {
		a.entries++
		n.number = a.entries
	}
	if n.target != "" {
		n.size, n.content = int64(len(n.target)), strings.NewReader(n.target)
	}
	name := strings.TrimPrefix(n.name, "/")
	fields := [13]int64{int64(n.number), int64(n.mode), int64(n.uid), int64(n.gid), int64(n.links), n.time, n.size,
		0, 0, n.major, n.minor, int64(len(name) + 1), 0}
	header := "070701"
	for _, f := range fields {
		header += fmt.Sprintf("%08x", uint32(f))
	}
	a.copy(int64(len(header)+len(name)+1), strings.NewReader(header+name+"\x00"))
	a.copy(n.size, n.content)
	return n.number
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
