// The inputs of COPY, ADD and bind mounts: of every file its kind, mode, owner, link target and
// bytes, but not its times. Reading all bytes at every build would take longer than most builds.
// So the digest of a file is remembered together with the result of stat(2), and used as long as
// that is the same. A file that was written at the very moment when it was read is an exception:
// its time can be the same afterwards. It is read again at the next build.

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/download"
	"stagebox/stage06-dockerfile/sources"
	"stagebox/stage07-cache/inputs"
	"stagebox/stage07-cache/sumfile"
)

// checksums remembers the digests of the files of a context.
type checksums struct {
	sync.Mutex
	path    string
	known   map[string]sumfile.Sum
	changed bool
}

// freshness is how old a change has to be for the next one to show in the file's times:
// there are file systems that count in steps of two seconds.
const freshness = 2 * time.Second

// statOf is the part of stat(2) that changes when the content of a file does.
func statOf(st *unix.Stat_t) sumfile.Stat {
	return sumfile.Stat{
		Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Inode: st.Ino,
	}
}

// openChecksums reads the digests of the context's files that earlier builds have kept. None are
// kept for a context on standard input.
func (b *builder) openChecksums() *checksums {
	c := &checksums{known: map[string]sumfile.Sum{}}
	dir, err := filepath.Abs(b.files.Dir)
	if err != nil || b.files.Temporary {
		return c
	}
	c.path = b.cache.Path("files", fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:32])
	c.known = sumfile.Read(c.path)
	return c
}

// close writes the digests, if there are new ones.
func (c *checksums) close() error {
	if !c.changed || c.path == "" {
		return nil
	}
	return sumfile.Write(c.path, c.known)
}

// digest returns the digest of a file of the context: the one that is known, if stat(2) says the
// same as then.
func (c *checksums) digest(n *union.Node, name string) (string, error) {
	st := statOf(&n.Stat_t)
	c.Lock()
	known, found := c.known[name]
	c.Unlock()
	if found && known.Stat == st {
		return known.Digest, nil
	}
	began := time.Now()
	digest, err := hashFile(n, name)
	if err == nil && began.Sub(time.Unix(0, st.Ctime)) > freshness {
		c.Lock()
		c.known[name], c.changed = sumfile.Sum{Stat: st, Digest: digest}, true
		c.Unlock()
	}
	return digest, err
}

// hashFile reads a file. It is an error if the file changes meanwhile.
func hashFile(n *union.Node, name string) (string, error) {
	fd, err := n.Open(unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", about("read", name, err)
	}
	var after unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &after); err != nil {
		return "", about("stat", name, err)
	}
	if statOf(&after) != statOf(&n.Stat_t) {
		return "", fmt.Errorf("%s changed while it was read:"+
			" build again when no process writes to it", name)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// copyInputs returns the inputs of a COPY or ADD, besides its words: the files of the context,
// the layers of another stage or image, the digest of a URL.
func (s *stageBuild) copyInputs(in *dockerfile.Instruction) ([]inputs.Input, error) {
	c := &copying{s: s, in: in}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	defer c.From.Close()
	l := &inputList{copying: c, list: []inputs.Input{{"owner", fmt.Sprint(c.owner)}}}
	if ref := in.Flag("from"); ref != "" {
		id, err := s.b.layersOf(in, ref)
		return append(l.list, inputs.Input{"source " + ref, id}), err
	}
	for _, source := range in.Args[:len(in.Args)-1] {
		if err := l.source(source); err != nil {
			return nil, in.ErrorAt(source, "%s %s: %v", in.Name, source, err)
		}
	}
	return l.list, nil
}

// inputList collects the files of a context that are inputs.
type inputList struct {
	*copying
	list  []inputs.Input
	names map[files.ID]string // the first name of a file that has several
}

func (l *inputList) add(name, value string) { l.list = append(l.list, inputs.Input{name, value}) }

// source adds the files that one source refers to.
func (l *inputList) source(source string) error {
	if l.in.Name == "ADD" && download.IsURL(source) {
		got, err := l.fetchOnce(source)
		l.add("content of "+source, got.Digest.String())
		return err
	}
	dirs, err := l.Find(source)
	for _, dir := range dirs {
		for _, f := range dir.Files {
			if err == nil {
				err = l.found(f)
			}
		}
	}
	return err
}

// found adds a file that a source refers to, and the files in it. With --parents, the
// directories above it are made too.
func (l *inputList) found(f sources.File) error {
	for n := f.Parent(); l.Parents && n != f.Pivot; n = n.Parent() {
		if err := l.file(n, n.Path()); err != nil {
			return err
		}
	}
	if f.At != f.Path() { // found by a link or below another directory: the copy gets this name
		l.add("name of "+f.Path(), f.At)
	}
	return l.root(f.Node, f.Path(), l.Filter(f))
}

// root adds a file, or the files in a directory, which is not copied itself without --parents.
func (l *inputList) root(n *union.Node, rel string, keep sources.Filter) error {
	if !n.IsDir() || l.Parents && rel != "." {
		if err := l.file(n, rel); err != nil {
			return err
		}
	} else {
		l.add("file "+rel, "directory")
	}
	return l.Below(n, rel, keep, l.file)
}

// file adds one file: everything that the copy has of it but its times.
func (l *inputList) file(n *union.Node, rel string) error {
	text, err := l.describe(n, rel)
	l.add("file "+rel, text)
	return err
}

func (l *inputList) describe(n *union.Node, rel string) (string, error) {
	st := n.Stat_t
	if l.in.Flag("from") == "" || l.chown {
		st.Uid, st.Gid = uint32(l.owner.UID), uint32(l.owner.GID)
	}
	if l.chmod != nil {
		st.Mode = l.chmod(st.Mode)
	}
	text := fmt.Sprintf("%o %d %d", st.Mode, st.Uid, st.Gid)
	if id := files.IDOf(&st); st.Nlink > 1 && !n.IsDir() { // one file stays one file
		if first := l.names[id]; first != "" {
			return text + " the same file as " + first, nil
		}
		l.names = withKey(l.names, id, rel)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		sum, err := l.s.b.sums.digest(n, rel)
		return text + " " + sum, err
	case unix.S_IFLNK:
		target, err := n.ReadLink()
		return text + " " + target, err
	case unix.S_IFCHR, unix.S_IFBLK:
		return fmt.Sprintf("%s %d", text, st.Rdev), nil
	}
	return text, nil
}

// mountInputs adds what the bind mounts of a RUN show, and what its cache mounts begin with. A
// secret is not an input: the image must not depend on it.
func (s *stageBuild) mountInputs(
	in *dockerfile.Instruction, list []inputs.Input,
) ([]inputs.Input, error) {
	for _, mount := range in.Mounts {
		if mount.Type != "bind" && (mount.Type != "cache" || mount.From == "") {
			continue
		}
		if mount.From != "" {
			id, err := s.b.layersOf(in, mount.From)
			if err != nil {
				return nil, err
			}
			list = append(list, inputs.Input{"source " + mount.From, id})
			continue
		}
		more, err := s.mountedInputs(in, mount)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// mountedInputs returns the files of the context that a mount shows.
func (s *stageBuild) mountedInputs(
	in *dockerfile.Instruction, mount dockerfile.Mount,
) ([]inputs.Input, error) {
	from, ignore, err := s.b.source(in, "")
	if err != nil {
		return nil, err
	}
	defer from.Close()
	n, err := from.Find(cmp.Or(mount.Source, "/"), true)
	if err != nil {
		return nil, in.ErrorAt("--mount",
			"--mount=type=bind: there is no %s in the context", mount.Source)
	}
	search := sources.Search{From: from, Ignore: ignore}
	l := &inputList{copying: &copying{Search: search, s: s, in: in}}
	rel := strings.Trim(path.Clean("/"+mount.Source), "/")
	err = l.root(n, cmp.Or(rel, "."), l.Filter(sources.File{}))
	return l.list, err
}
