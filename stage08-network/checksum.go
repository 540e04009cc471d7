// What COPY, ADD and bind mounts depend on: of every file its kind, mode, owner, link target
// and bytes, but not its times. Reading all bytes at every build would take longer than most
// builds. So the digest of a file is remembered together with what stat(2) says of it, and
// believed as long as that is the same. The one case in which it must not be believed is a
// file that was written at the very moment when it was read: its time can be the same
// afterwards. Such a file is read again.
package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

// checksums remembers the digests of the files of a context.
type checksums struct {
	sync.Mutex
	path    string
	known   map[string]sum
	changed bool
}

// sum is the digest of a file, and when it may be believed.
type sum struct {
	size, mtime, ctime int64
	inode              uint64
	digest             string
}

// freshness is how old a change has to be for a file's times to tell a later one apart:
// there are file systems that count in steps of two seconds.
const freshness = 2 * time.Second

func sumOf(st *unix.Stat_t) sum {
	return sum{st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Ino, ""}
}

// openChecksums reads what is remembered of the context's files, a line each. Of one that
// came on standard input nothing is.
func (b *builder) openChecksums() *checksums {
	c := &checksums{known: map[string]sum{}}
	dir, err := filepath.Abs(b.files.dir)
	if err != nil || b.files.temporary {
		return c
	}
	c.path = b.cachePath("files", fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:32])
	file, err := os.Open(c.path)
	if err != nil {
		return c
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, known, ok := parseSum(lines.Text()); ok {
			c.known[name] = known
		}
	}
	return c
}

// parseSum reads "size mtime ctime inode digest path".
func parseSum(line string) (name string, s sum, ok bool) {
	f := strings.SplitN(line, " ", 6)
	if len(f) != 6 || len(f[4]) != 64 {
		return "", s, false
	}
	var errs [4]error
	s.size, errs[0] = strconv.ParseInt(f[0], 10, 64)
	s.mtime, errs[1] = strconv.ParseInt(f[1], 10, 64)
	s.ctime, errs[2] = strconv.ParseInt(f[2], 10, 64)
	s.inode, errs[3] = strconv.ParseUint(f[3], 10, 64)
	s.digest = f[4]
	name, err := strconv.Unquote(f[5])
	return name, s, errors.Join(append(errs[:], err)...) == nil
}

// close writes what is remembered, if there is more than before.
func (c *checksums) close() error {
	if !c.changed || c.path == "" {
		return nil
	}
	var b strings.Builder
	for name, s := range c.known {
		fmt.Fprintf(&b, "%d %d %d %d %s %s\n", s.size, s.mtime, s.ctime, s.inode, s.digest, strconv.Quote(name))
	}
	return state.Write(c.path, []byte(b.String()), 0o600, state.Volatile)
}

// of is the digest of a file of the context. An error says that it changed meanwhile.
func (c *checksums) of(n *union.Node, name string) (string, error) {
	is := sumOf(&n.Stat_t)
	c.Lock()
	known, found := c.known[name]
	c.Unlock()
	if is.digest = known.digest; found && known == is {
		return known.digest, nil
	}
	began := time.Now()
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
	is.digest = ""
	if sumOf(&after) != is {
		return "", fmt.Errorf("%s changed while it was read: build again when nobody writes to it", name)
	}
	is.digest = fmt.Sprintf("%x", h.Sum(nil))
	if began.Sub(time.Unix(0, is.ctime)) > freshness {
		c.Lock()
		c.known[name], c.changed = is, true
		c.Unlock()
	}
	return is.digest, nil
}

// describeFile is all of a file that counts, in a line: the name is said beside it.
func (c *copying) describeFile(n *union.Node, rel string) (string, error) {
	st := n.Stat_t
	if c.in.Flag("from") == "" || c.chown {
		st.Uid, st.Gid = uint32(c.who.uid), uint32(c.who.gid)
	}
	if c.chmod != nil {
		st.Mode = c.chmod(st.Mode)
	}
	text := fmt.Sprintf("%o %d %d", st.Mode, st.Uid, st.Gid)
	if id := files.IDOf(&st); st.Nlink > 1 && !n.IsDir() { // two names of one file stay that
		if first := c.linked[id]; first != "" {
			return text + " the same file as " + first, nil
		}
		if c.linked == nil {
			c.linked = map[files.ID]string{}
		}
		c.linked[id] = rel
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		sum, err := c.s.b.sums.of(n, rel)
		return text + " " + sum, err
	case unix.S_IFLNK:
		target, err := n.ReadLink()
		return text + " " + target, err
	case unix.S_IFCHR, unix.S_IFBLK:
		return fmt.Sprintf("%s %d", text, st.Rdev), nil
	}
	return text, nil
}

// fileDifference says what of a file differs, by two such lines.
func fileDifference(before, now string) string {
	a, b := strings.SplitN(before, " ", 4), strings.SplitN(now, " ", 4)
	if len(a) < 3 || len(b) < 3 {
		return "content"
	}
	var list []string
	if a[0] != b[0] {
		list = append(list, "mode")
	}
	if a[1] != b[1] || a[2] != b[2] {
		list = append(list, "owner")
	}
	if !slices.Equal(a[3:], b[3:]) {
		list = append(list, "content")
	}
	return strings.Join(list, ", ")
}

// copyInputs are what a COPY or ADD depends on, besides its words: the files of the context,
// the layers of another stage or image, what is behind a URL.
func (s *stageBuild) copyInputs(in *dockerfile.Instruction) ([]input, error) {
	c := &copying{s: s, in: in}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	defer c.from.Close()
	list := []input{{"owner", fmt.Sprint(c.who)}}
	if ref := in.Flag("from"); ref != "" {
		id, err := s.b.layersOf(in, ref)
		return append(list, input{"source " + ref, id}), err
	}
	for _, source := range in.Args[:len(in.Args)-1] {
		more, err := c.sourceInputs(source)
		if err != nil {
			return nil, in.ErrorAt(source, "%s %s: %v", in.Name, source, err)
		}
		list = append(list, more...)
	}
	return list, nil
}

// sourceInputs are the files that one source stands for.
func (c *copying) sourceInputs(source string) (list []input, err error) {
	if c.in.Name == "ADD" && isURL(source) {
		got, err := c.get(source)
		return []input{{"content of " + source, got.Digest.String()}}, err
	}
	dirs, err := c.sources(source)
	for _, dir := range dirs {
		c.pivot = dir.pivot
		for _, f := range dir.files {
			if err == nil {
				list, err = c.foundInputs(f, list)
			}
		}
	}
	return list, err
}

// foundInputs are a file that a source refers to, and the files in it.
func (c *copying) foundInputs(f found, list []input) ([]input, error) {
	list, err := c.parentInputs(f, list)
	if err != nil {
		return nil, err
	}
	if f.path != f.Path() { // found by a link or below another directory: the copy gets this name
		list = append(list, input{"name of " + f.Path(), f.path})
	}
	return c.rootInputs(f.Node, f.Path(), c.excluding(f), list)
}

// parentInputs are the directories above a file, which --parents makes too.
func (c *copying) parentInputs(f found, list []input) ([]input, error) {
	for n := f.Parent(); c.parents && n != c.pivot; n = n.Parent() {
		text, err := c.describeFile(n, n.Path())
		if err != nil {
			return nil, err
		}
		list = append(list, input{"file " + n.Path(), text})
	}
	return list, nil
}

// rootInputs are a file, or all that is in a directory: of that itself nothing is copied,
// except with --parents.
func (c *copying) rootInputs(n *union.Node, rel string, keep keeping, list []input) ([]input, error) {
	text, err := "directory", error(nil)
	if !n.IsDir() || c.parents && rel != "." {
		text, err = c.describeFile(n, rel)
	}
	if list = append(list, input{"file " + rel, text}); err != nil || !n.IsDir() {
		return list, err
	}
	return c.treeInputs(n, rel, keep, list)
}

// keeping tells whether a path is wanted, and whether something in it may be.
type keeping func(rel string, isDir bool) (wanted, inside bool, err error)

// treeInputs are the files in a directory. A directory that is not wanted itself counts
// when something in it is.
func (c *copying) treeInputs(n *union.Node, rel string, keep keeping, list []input) ([]input, error) {
	children, err := n.Children()
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		below := path.Join(rel, child.Name())
		wanted, inside, err := keep(below, child.IsDir())
		if err == nil && !wanted && inside {
			wanted, err = anyWanted(child, below, keep)
		}
		if err != nil {
			return nil, err
		}
		if !wanted {
			continue
		}
		text, err := c.describeFile(child, below)
		if err != nil {
			return nil, err
		}
		list = append(list, input{"file " + below, text})
		if !child.IsDir() {
			continue
		}
		if list, err = c.treeInputs(child, below, keep, list); err != nil {
			return nil, err
		}
		child.Forget()
	}
	return list, nil
}

// layersOf is what the files of a stage or an image are: the digests of its layers.
func (b *builder) layersOf(in *dockerfile.Instruction, ref string) (string, error) {
	stage, err := b.file.StageFor(in, ref)
	if err != nil {
		return "", err
	}
	if stage != nil {
		return fmt.Sprint(b.built(stage).config.RootFS.DiffIDs), nil
	}
	if ref == "scratch" {
		return "nothing", nil
	}
	image, err := b.image(ref, b.want)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(image.Config.RootFS.DiffIDs), nil
}

// mountInputs are what the bind mounts of a RUN show. A secret is no input: who has another
// one shall get the same image.
func (s *stageBuild) mountInputs(in *dockerfile.Instruction, list []input) ([]input, error) {
	for _, mount := range in.Mounts {
		if mount.Type != "bind" {
			continue
		}
		if mount.From != "" {
			id, err := s.b.layersOf(in, mount.From)
			if err != nil {
				return nil, err
			}
			list = append(list, input{"source " + mount.From, id})
			continue
		}
		from, err := s.b.files.union()
		if err != nil {
			return nil, err
		}
		c := &copying{s: s, in: in, from: from, ignore: s.b.files.ignore}
		more, err := c.mountedInputs(mount.Source)
		from.Close()
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func (c *copying) mountedInputs(source string) ([]input, error) {
	n, err := c.from.Find(cmpOr(source, "/"), true)
	if err != nil {
		return nil, c.in.ErrorAt("--mount", "--mount=type=bind: there is no %s in the context", source)
	}
	rel := strings.Trim(path.Clean("/"+source), "/")
	return c.rootInputs(n, cmpOr(rel, "."), c.keep, nil)
}
