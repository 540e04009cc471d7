// COPY and ADD. Sources are found in the context, in an earlier stage or in an image, which
// are all read as a union of layers; patterns are those of Go's path.Match. ADD also fetches
// URLs and unpacks archives of the context.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/patternmatcher"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
	"stagebox/stage06-dockerfile/dockerfile"
)

// copying is a COPY or ADD on its way.
type copying struct {
	s       *stageBuild
	in      *dockerfile.Instruction
	w       *writer
	from    *union.FS
	ignore  *dockerfile.Ignore // of the context
	exclude *patternmatcher.PatternMatcher
	who     owner
	chown   bool
	chmod   func(mode uint32) uint32
	dest    string // absolute
	isDir   bool   // the destination is a directory, whether it is there or not

	parents bool            // the flag
	some    bool            // with it, a pattern: nothing of it need be there
	pivot   *union.Node     // with it, the directory that paths are kept from
	kept    map[string]bool // the directories that it has made

	linked map[files.ID]string // the first name of a file with several, for the checksum
}

// copy is COPY and ADD.
func (s *stageBuild) copy(in *dockerfile.Instruction) error {
	if s.hit != nil {
		return s.reuse(in)
	}
	c := &copying{s: s, in: in}
	if err := c.prepare(); err != nil {
		return err
	}
	defer c.from.Close()
	return s.layer(in, func(w *writer) error {
		c.w = w
		return c.all()
	})
}

func (c *copying) prepare() (err error) {
	in := c.in
	if text := in.Flag("chown"); text != "" {
		c.chown = true
		if c.who, err = c.s.ownerNamed(text); err != nil {
			return in.ErrorAt("--chown", "--chown=%s: %v", text, err)
		}
	}
	if text := in.Flag("chmod"); text != "" {
		if c.chmod, err = parseModes(text); err != nil {
			return in.ErrorAt("--chmod", "--chmod=%v", err)
		}
	}
	if c.exclude, err = patternmatcher.New(in.Flags["exclude"]); err != nil {
		return in.ErrorAt("--exclude", "--exclude: %v", err)
	}
	c.dest = in.Args[len(in.Args)-1]
	c.parents = in.Flag("parents") == "true"
	c.isDir = strings.HasSuffix(c.dest, "/") || path.Base(c.dest) == "." || c.parents
	if !path.IsAbs(c.dest) {
		c.dest = path.Join("/", c.s.config.Config.WorkingDir, c.dest)
	}
	c.dest = path.Clean(c.dest)
	if sources := in.Args[:len(in.Args)-1]; in.Flag("checksum") != "" && (len(sources) != 1 || !isURL(sources[0])) {
		return in.ErrorAt("--checksum", "--checksum is for one source, and one that is fetched: an address that begins with http or https")
	}
	c.from, err = c.source()
	return err
}

// parseModes reads a mode as chmod(1) takes it, in octal or such as u=rwX,go=rX.
func parseModes(text string) (func(mode uint32) uint32, error) {
	if number, err := strconv.ParseUint(text, 8, 12); err == nil {
		return func(mode uint32) uint32 { return mode&unix.S_IFMT | uint32(number) }, nil
	}
	var changes []func(uint32) uint32
	for clause := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 || strings.Trim(clause[:at], "ugoa") != "" || strings.Trim(clause[at:], "+-=rwxXstugo") != "" {
			return nil, fmt.Errorf("%s: give a mode such as 755, or u=rwX,go=rX", text)
		}
		var who uint32 // the bits that it is about
		for _, c := range cmp.Or(clause[:at], "a") {
			who |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
		}
		for rest := clause[at:]; rest != ""; {
			end := 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], "rwxXstugo"))
			changes = append(changes, changeMode(who, rest[0], rest[1:end]))
			rest = rest[end:]
		}
	}
	return func(mode uint32) uint32 {
		for _, change := range changes {
			mode = change(mode)
		}
		return mode
	}, nil
}

// changeMode adds, takes away or sets permissions among those that who is about. X is x for
// directories, and for files that somebody may execute already; u, g and o are what these
// may do already.
func changeMode(who uint32, operator byte, permissions string) func(uint32) uint32 {
	return func(mode uint32) uint32 {
		var bits uint32
		for _, p := range permissions {
			bits |= map[rune]uint32{'r': 0o444, 'w': 0o222, 'x': 0o111, 's': 0o6000, 't': 0o1000,
				'u': mode >> 6 & 7 * 0o111, 'g': mode >> 3 & 7 * 0o111, 'o': mode & 7 * 0o111}[p]
			if p == 'X' && (mode&unix.S_IFMT == unix.S_IFDIR || mode&0o111 != 0) {
				bits |= 0o111
			}
		}
		switch bits &= who; operator {
		case '+':
			return mode | bits
		case '-':
			return mode &^ bits
		}
		return mode&^who | bits
	}
}

// rootsEntries end every passwd and group: root is known where nobody is.
var rootsEntries = map[string]string{"/etc/passwd": "\nroot:x:0:0:root:/root:/bin/sh\n", "/etc/group": "\nroot:x:0:\n"}

// ownerNamed reads USER[:GROUP], by the names of the stage's own passwd and group.
func (s *stageBuild) ownerNamed(text string) (owner, error) {
	dirs, err := s.dirs()
	if err != nil {
		return owner{}, err
	}
	slices.Reverse(dirs)
	u, err := union.Open(dirs)
	if err != nil {
		return owner{}, err
	}
	defer u.Close()
	read := func(name string) ([]byte, error) {
		data, err := readSmall(u, name)
		return append(data, rootsEntries[name]...), err
	}
	user, group, _ := strings.Cut(text, ":")
	id := &identity{}
	if err := id.find(read, text); err != nil {
		return owner{}, err
	}
	if _, err := passwd.ParseID(user); err == nil && group == "" {
		id.gid = id.uid // of a number, the group is the same number
	}
	return owner{id.uid, id.gid}, nil
}

// source is where the files come from.
func (c *copying) source() (*union.FS, error) {
	ref := c.in.Flag("from")
	if ref == "" {
		c.ignore = c.s.b.files.ignore
		return c.s.b.files.union()
	}
	dirs, err := c.s.b.dirsOf(c.in, ref)
	if err != nil {
		return nil, err
	}
	slices.Reverse(dirs)
	return union.Open(dirs)
}

// dirsOf are the layers of a stage or an image that --from names, the lowest first.
func (b *builder) dirsOf(in *dockerfile.Instruction, ref string) ([]string, error) {
	stage, err := b.file.StageFor(in, ref)
	if err != nil {
		return nil, err
	}
	if stage != nil {
		return b.built(stage).dirs()
	}
	if ref == "scratch" {
		return b.Store.nothing()
	}
	image, err := b.image(ref, b.want)
	if err != nil {
		e := in.ErrorAt("from="+ref, "no stage above is called %s, and as an image: %v", ref, err)
		var names []string
		for _, s := range b.file.Stages {
			names = append(names, s.Name)
		}
		e.Suggestion = dockerfile.Nearest(ref, names)
		return nil, e
	}
	dirs, err := b.Store.dirs(image)
	if err == nil && len(dirs) == 0 {
		return b.Store.nothing()
	}
	return dirs, err
}

// change makes of a source's attributes those of the copy.
func (c *copying) change(st *unix.Stat_t) {
	if c.w.give != nil {
		st.Uid, st.Gid = uint32(c.who.uid), uint32(c.who.gid)
	}
	if c.chmod != nil {
		st.Mode = c.chmod(st.Mode)
	}
}

// all copies every source.
func (c *copying) all() error {
	c.w.Change, c.w.Bare = c.change, c.in.Flag("from") == ""
	if c.w.Bare || c.chown {
		c.w.give = &c.who
	}
	if number, err := strconv.ParseUint(c.in.Flag("chmod"), 8, 12); err == nil {
		c.w.newMode = uint32(number) & 0o777
	}
	for _, doc := range c.in.Docs {
		if err := c.text(path.Base(doc.Name), []byte(doc.Content), 0o644, time.Now()); err != nil {
			return err
		}
	}
	for _, source := range c.in.Args[:len(c.in.Args)-1] {
		if err := c.one(source); err != nil {
			return c.in.ErrorAt(source, "%s %s: %v", c.in.Name, source, err)
		}
	}
	return nil
}

// one copies one source, which may be a pattern.
func (c *copying) one(source string) error {
	if c.in.Name == "ADD" && isURL(source) {
		return c.fetch(source)
	}
	list, err := c.sources(source)
	for _, dir := range list {
		if err == nil {
			err = c.below(dir)
		}
	}
	return err
}

// sourceDir is a directory in which a source was looked for, and the files that were found there.
type sourceDir struct {
	pivot *union.Node
	files []found
}

// sources finds the files that a source refers to.
func (c *copying) sources(source string) (list []sourceDir, err error) {
	pivots, kept, err := c.pivots(source)
	for _, pivot := range pivots {
		if err != nil {
			return nil, err
		}
		var files []found
		files, err = c.matches(pivot.Node, kept)
		list = append(list, sourceDir{pivot.Node, files})
	}
	return list, err
}

// pivots are the directories in which a source is looked for, and what is looked for there.
// With --parents that is what is behind /./, or all of it, and the directory before may be a
// pattern; else there is one, the root.
func (c *copying) pivots(source string) ([]found, string, error) {
	if !c.parents {
		return []found{{c.from.Root(), "."}}, source, nil
	}
	before, kept, cut := strings.Cut(source, "/./")
	if !cut {
		before, kept = "/", source
	}
	if path.Clean("/"+kept) == "/" {
		return nil, "", errors.New("--parents keeps the directories of a name, and there is none: copy without it")
	}
	c.some = isPattern(source)
	list, err := c.glob(c.from.Root(), before, c.some, true)
	list = slices.DeleteFunc(list, func(f found) bool { return !f.IsDir() })
	if err == nil && len(list) == 0 && !c.some {
		err = fmt.Errorf("%s is no directory in %s; a link is not followed", before, c.where())
	}
	return list, kept, err
}

// below copies what was found in a directory. With --parents it is as if the directory itself
// was copied.
func (c *copying) below(p sourceDir) (err error) {
	c.w.Forget() // two sources share no inode
	c.pivot = p.pivot
	var to string
	if c.parents {
		if to, err = c.w.resolve(c.dest, true, c.who); err != nil {
			return err
		}
	}
	for _, f := range p.files {
		if err := c.file(f); err != nil {
			return err
		}
	}
	if !c.parents || p.pivot == c.from.Root() {
		return nil
	}
	return c.w.dated(p.pivot, to)
}

// matches are the files in a directory that a source stands for. With --parents no link is
// followed; and what is in one of them, as ** may find it, is copied with that.
func (c *copying) matches(pivot *union.Node, kept string) ([]found, error) {
	list, err := c.glob(pivot, kept, !c.parents, !c.some)
	if !c.parents {
		return list, err
	}
	whole := map[*union.Node]bool{}
	return slices.DeleteFunc(list, func(f found) bool {
		for n := f.Node; n != pivot; n = n.Parent() {
			if whole[n] {
				return true
			}
		}
		whole[f.Node] = true
		return false
	}), err
}

func isPattern(text string) bool { return strings.ContainsAny(text, "*?[") }

// found is a file of the source, and its path below the directory in which it was found.
type found struct {
	*union.Node
	path string
}

// glob finds what a path or pattern below a directory stands for. Unless nothing need be
// there, what stands before the first pattern must be.
func (c *copying) glob(dir *union.Node, pattern string, follow, must bool) ([]found, error) {
	list, parts := []found{{dir, "."}}, strings.Split(strings.Trim(path.Clean("/"+pattern), "/"), "/")
	for i, part := range parts {
		var next []found
		for _, dir := range list {
			more, err := c.match(dir, part, follow)
			if part == "**" && i < len(parts)-1 && c.parents {
				more, err = allBelow(dir)
			}
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		if must = must && !isPattern(part); must && len(next) == 0 {
			return nil, fmt.Errorf("there is no such file in %s", c.where())
		}
		list = next
	}
	var seen []found
	for _, f := range list {
		ignored, err := c.isIgnored(f)
		if err != nil {
			return nil, err
		}
		if !ignored {
			seen = append(seen, f)
		}
	}
	if must && len(seen) == 0 {
		return nil, fmt.Errorf("the file is in %s, but .dockerignore leaves it out", c.where())
	}
	return seen, nil
}

// where is what messages call the place of the source.
func (c *copying) where() string {
	if ref := c.in.Flag("from"); ref != "" {
		return "--from=" + ref
	}
	return "the context"
}

// allBelow is a directory and those in it, however deep.
func allBelow(dir found) ([]found, error) {
	if !dir.IsDir() {
		return nil, nil
	}
	list := []found{dir}
	children, err := dir.Children()
	for _, child := range children {
		if err == nil {
			var more []found
			more, err = allBelow(found{child, path.Join(dir.path, child.Name())})
			list = append(list, more...)
		}
	}
	return list, err
}

// match finds the files of a directory that one part of a path stands for.
func (c *copying) match(dir found, part string, follow bool) ([]found, error) {
	if part == "" || part == "." {
		return []found{dir}, nil
	}
	if !dir.IsDir() {
		return nil, nil
	}
	if !strings.ContainsAny(part, `*?[\`) {
		n, err := dir.Child(part)
		if err == nil && follow {
			n, err = c.follow(n)
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return nil, nil
		}
		return []found{{n, path.Join(dir.path, part)}}, err
	}
	children, err := dir.Children()
	var list []found
	for _, n := range children {
		ok, errMatch := path.Match(part, n.Name())
		if errMatch != nil {
			return nil, fmt.Errorf("%q is not a pattern: %w", part, errMatch)
		}
		if !ok {
			continue
		}
		at := path.Join(dir.path, n.Name())
		if target, err := c.follow(n); follow && !errors.Is(err, unix.ENOENT) { // a link to nowhere is copied as it is
			if err != nil {
				return nil, err
			}
			n = target
		}
		list = append(list, found{n, at})
	}
	return list, err
}

// follow is where a link leads. One that .dockerignore leaves out leads nowhere.
func (c *copying) follow(n *union.Node) (*union.Node, error) {
	if !n.Is(unix.S_IFLNK) {
		return n, nil
	}
	wanted, _, err := c.keep(n.Path(), false)
	if err == nil && !wanted {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, err
	}
	return c.from.Find(n.Path(), true)
}

// isIgnored tells whether .dockerignore leaves a file out altogether. It may be found by a
// link, and it is its own path that counts.
func (c *copying) isIgnored(f found) (bool, error) {
	wanted, inside, err := c.keep(f.Path(), f.IsDir())
	if err == nil && !wanted && inside {
		wanted, err = anyWanted(f.Node, f.Path(), c.keep)
	}
	return !wanted, err
}

// keep tells whether a path of the source is wanted, and whether something in it may be.
func (c *copying) keep(rel string, isDir bool) (wanted, inside bool, err error) {
	if rel == "." {
		return true, true, nil
	}
	if c.ignore != nil {
		c.s.b.ignoring.Lock()
		ignored, whole, err := c.ignore.Ignores(rel, isDir)
		c.s.b.ignoring.Unlock()
		if err != nil || ignored {
			return false, isDir && !whole, err
		}
	}
	return true, true, nil
}

// file copies one source to its place.
func (c *copying) file(f found) error {
	dest := c.dest
	if c.parents {
		if excluded, err := c.exclude.MatchesOrParentMatches(f.path); excluded || err != nil {
			return err
		}
		var err error
		if dest, err = c.makeParents(f); err != nil {
			return err
		}
	}
	if c.in.Name == "ADD" && c.in.Flag("unpack") != "false" && c.in.Flag("from") == "" {
		if unpacked, err := c.unpack(f, dest); unpacked || err != nil {
			return err
		}
	}
	if !c.parents {
		c.w.Forget()
	}
	if f.IsDir() {
		return c.directory(f, dest)
	}
	target, err := c.target(dest, path.Base(f.path))
	if err != nil {
		return err
	}
	return c.w.put(f.Node, target)
}

// directory copies what is in a directory. The one that it comes into gets its time; that of
// the context itself is nobody's.
func (c *copying) directory(f found, dest string) error {
	to, err := c.w.resolve(dest, true, c.who)
	if err == nil {
		err = c.w.tree(f.Node, f.Path(), to, c.excluding(f))
	}
	if err != nil || f.Path() == "." {
		return err
	}
	return c.w.dated(f.Node, to)
}

// makeParents makes the directories above a file that --parents keeps, like those of the
// source, and the file itself if it is one; it returns the last.
func (c *copying) makeParents(f found) (to string, err error) {
	var dirs []*union.Node
	for n := f.Node; n != c.pivot; n = n.Parent() {
		if n.IsDir() {
			dirs = append(dirs, n)
		}
	}
	to, err = c.w.resolve(c.dest, true, c.who)
	for _, n := range slices.Backward(dirs) {
		if err == nil {
			to = path.Join(to, n.Name())
			err = about("make", to, c.makeParent(n, to))
		}
	}
	return to, err
}

// makeParent makes one of them. One that is there already gets the mode only.
func (c *copying) makeParent(n *union.Node, to string) error {
	st, _, err := c.w.stat(to)
	if err != nil || c.kept[to] {
		return err
	}
	if st.Mode != 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errors.New("a file or a link is there already, and would be replaced by a directory")
	}
	c.kept = withKey(c.kept, to, true)
	if err := c.w.mkdir(to, st.Mode != 0, c.who); err != nil {
		return err
	}
	if st.Mode != 0 {
		return unix.Fchmodat(c.w.Root, to, n.Mode&0o7777, 0)
	}
	return c.w.like(n, to)
}

// excluding is keep without what --exclude names: in the directory that is copied, or with
// --parents in that from which paths are kept.
func (c *copying) excluding(f found) func(string, bool) (bool, bool, error) {
	base := f.Path()
	if c.parents {
		base = c.pivot.Path()
	}
	return func(rel string, isDir bool) (bool, bool, error) {
		wanted, inside, err := c.keep(rel, isDir)
		if err != nil || len(c.in.Flags["exclude"]) == 0 {
			return wanted, inside, err
		}
		below := strings.TrimPrefix(strings.TrimPrefix(rel, base), "/")
		if base == "." {
			below = rel
		}
		excluded, err := c.exclude.MatchesOrParentMatches(below)
		return wanted && !excluded, inside && isDir, err
	}
}

// target is the path to write a file to; its directory is made.
func (c *copying) target(dest, name string) (string, error) {
	if !c.isDir {
		real, err := c.w.resolve(dest, false, c.who)
		if err != nil {
			return "", err
		}
		st, _, err := c.w.stat(real)
		if err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			dir, err := c.w.resolve(path.Dir(real), true, c.who)
			return path.Join(dir, path.Base(real)), err
		}
	}
	dir, err := c.w.resolve(dest, true, c.who)
	if err != nil {
		return "", err
	}
	return path.Join(dir, name), nil
}

// text writes a file of which only the content is given.
func (c *copying) text(name string, data []byte, mode uint32, at time.Time) error {
	target, err := c.target(c.dest, name)
	if err != nil {
		return err
	}
	if c.chmod != nil {
		mode = c.chmod(mode)
	}
	return c.w.write(target, data, mode, c.who, at)
}

// unpack unpacks an archive, if the file is one, as if its files were copied.
func (c *copying) unpack(f found, dest string) (bool, error) {
	if !f.Is(unix.S_IFREG) || f.Size == 0 {
		return false, nil
	}
	fd, err := f.Open(unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	file := os.NewFile(uintptr(fd), f.path)
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	if magic, err := in.Peek(6); err == nil && string(magic) == "\xfd7zXZ\x00" {
		xz, err := startXZ(c.s.b.ctx, in)
		if err != nil {
			return true, err
		}
		defer xz.Close()
		in = bufio.NewReaderSize(xz, 1<<20)
	}
	if layer.FirstHeader(in) != nil { // zeros, as a file system's image begins with, are no archive
		return false, nil
	}
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return true, err
	}
	defer stream.Close()
	defer func(mode uint32) { c.w.newMode = mode }(c.w.newMode)
	c.w.newMode = 0o755
	root, err := c.w.resolve(dest, true, c.who)
	if err != nil {
		return true, err
	}
	u := &untarring{copying: c, root: root, tar: layer.NewExtractor(stream), times: map[string]time.Time{}}
	return true, u.all()
}

// startXZ has the program xz decompress a stream. It ends when the stream is closed.
func startXZ(ctx context.Context, from io.Reader) (io.ReadCloser, error) {
	xz := exec.CommandContext(ctx, "xz", "-dcq")
	xz.Stdin = from
	out, err := xz.StdoutPipe()
	if err == nil {
		err = xz.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("what is compressed with xz, the program of this name decompresses: %w", err)
	}
	return &piped{out, xz}, nil
}

// piped is the output of a program.
type piped struct {
	io.ReadCloser
	program *exec.Cmd
}

// Close ends the program, which may have more to say than anybody wants to know.
func (p *piped) Close() error {
	err := p.ReadCloser.Close()
	if err = errors.Join(err, p.program.Process.Kill()); errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if end := p.program.Wait(); !errors.As(end, new(*exec.ExitError)) {
		err = errors.Join(err, end)
	}
	return err
}

func isURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// fetch gets a file from a web server. It goes to a file of the context's kind first, so
// that neither its size nor a wrong checksum does harm.
func (c *copying) fetch(source string) error {
	u, err := url.Parse(source)
	if err != nil {
		return err
	}
	if strings.HasSuffix(u.Path, ".git") {
		return errors.New("a git repository is not fetched: clone it beside the Dockerfile, and COPY it")
	}
	got, err := c.get(source)
	if err != nil {
		return err
	}
	kept, err := os.Open(c.s.b.urlPath(got.Digest))
	if err != nil {
		return err
	}
	defer kept.Close()
	if got.Name == "" && c.isDir {
		return errors.New("the address has no file's name at its end")
	}
	dir, err := os.MkdirTemp(c.s.b.Store.path("images/partial"), "fetch-*")
	if err != nil {
		return err
	}
	file := path.Join(dir, cmp.Or(got.Name, "download"))
	at, err := http.ParseTime(got.LastModified)
	if err != nil {
		at = time.Unix(0, 0)
	}
	if err = c.download(kept, file); err == nil {
		err = errors.Join(os.Chtimes(file, at, at), c.fetched(dir, path.Base(file)))
	}
	return errors.Join(err, removeTree(dir))
}

// fileName is what a server calls a file, or what its address ends with.
func fileName(u *url.URL, header http.Header) string {
	_, words, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if name := path.Base(path.Clean("/" + words["filename"])); err == nil && name != "/" {
		return name
	}
	if name := path.Base(u.Path); !strings.HasSuffix(u.Path, "/") && name != "." && name != ".." {
		return name
	}
	return ""
}

// download writes what a server sends, and holds it against --checksum.
func (c *copying) download(from io.Reader, to string) error {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	limit := int64(c.s.b.Store.layerLimits().MaxLayerSize)
	sum := digest.Digest(cmp.Or(c.in.Flag("checksum"), string(digest.FromString(""))))
	if err = sum.Validate(); err != nil {
		return errors.Join(fmt.Errorf("--checksum=%s: %w", sum, err), file.Close())
	}
	got := sum.Algorithm().Digester()
	n, err := io.Copy(io.MultiWriter(file, got.Hash()), io.LimitReader(from, limit+1))
	if err == nil {
		err = c.s.b.Store.layerLimits().check(n, 1)
	}
	if err == nil && c.in.Flag("checksum") != "" && got.Digest() != sum {
		err = fmt.Errorf("it has the checksum %s, and should have %s", got.Digest(), sum)
	}
	return errors.Join(err, file.Close())
}

// fetched copies the file that was fetched, or with --unpack what is in it.
func (c *copying) fetched(dir, name string) error {
	from, err := union.Open([]string{dir})
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := from.Find(name, false)
	if err != nil {
		return err
	}
	if c.in.Flag("unpack") == "true" {
		if unpacked, err := c.unpack(found{n, name}, c.dest); unpacked || err != nil {
			return err
		}
	}
	target, err := c.target(c.dest, name)
	if err != nil {
		return err
	}
	return c.w.put(n, target)
}

// readSmall reads a file of a union; one that is not there is empty.
func readSmall(u *union.FS, name string) ([]byte, error) {
	n, err := u.Find(name, true)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !n.Is(unix.S_IFREG) || n.Size > passwd.MaxSize {
		return nil, fmt.Errorf("%s is not a file of up to %d bytes", name, passwd.MaxSize)
	}
	fd, err := n.Open(unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	return io.ReadAll(file)
}
