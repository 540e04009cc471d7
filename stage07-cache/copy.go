// COPY and ADD. Files come from the context, an earlier stage or an image, which are all read
// as a union of layers, and go into the upper directory of a new layer. The package sources finds
// the files that a source names; archives and URLs, which only ADD takes, are in add.go.

package main

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/patternmatcher"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/download"
	"stagebox/stage06-dockerfile/sources"
)

// copying is a COPY or ADD.
type copying struct {
	sources.Search
	s     *stageBuild
	in    *dockerfile.Instruction
	w     *copyup.Writer
	owner copyup.Owner
	chown bool
	chmod func(mode uint32) uint32
	dest  string // absolute
	isDir bool   // the destination is a directory, whether it exists or not
}

// copy is COPY and ADD.
func (s *stageBuild) copy(in *dockerfile.Instruction) error {
	c := &copying{s: s, in: in}
	if err := c.prepare(); err != nil {
		return err
	}
	defer c.From.Close()
	return s.layer(in, func(w *copyup.Writer) error {
		c.w = w
		return c.all()
	})
}

// prepare reads the flags and opens the place that files come from.
func (c *copying) prepare() (err error) {
	if err := c.attributes(); err != nil {
		return err
	}
	c.dest, c.isDir = c.in.Destination(c.s.config.Config.WorkingDir)
	if err := download.CheckSources(c.in); err != nil {
		return err
	}
	c.From, c.Ignore, err = c.s.b.source(c.in, c.in.Flag("from"))
	if c.Where = "the context"; c.in.Flag("from") != "" {
		c.Where = "--from=" + c.in.Flag("from")
	}
	return err
}

// attributes reads the flags about what is copied, and how it looks afterwards.
func (c *copying) attributes() (err error) {
	in := c.in
	if text := in.Flag("chown"); text != "" {
		c.chown = true
		if s := c.s; s.hasLink(in) && strings.Trim(text, "0123456789:") != "" {
			return in.ErrorAt("--chown", "--chown=%s: with --link it takes numbers, UID:GID:"+
				" the layer must not depend on the passwd below", text)
		}
		if c.owner, err = c.s.ownerNamed(text); err != nil {
			return in.ErrorAt("--chown", "--chown=%s: %v", text, err)
		}
	}
	if text := in.Flag("chmod"); text != "" {
		if c.chmod, err = dockerfile.ParseModes(text); err != nil {
			return in.ErrorAt("--chmod", "--chmod=%v", err)
		}
	}
	if list := in.Flags["exclude"]; len(list) > 0 {
		if c.Exclude, err = patternmatcher.New(list); err != nil {
			return in.ErrorAt("--exclude", "--exclude: %v", err)
		}
	}
	c.Parents = in.Flag("parents") == "true"
	return nil
}

// ownerNamed reads USER[:GROUP], by the names of the stage's own passwd and group.
func (s *stageBuild) ownerNamed(text string) (copyup.Owner, error) {
	u, err := openLayers(s.dirs())
	if err != nil {
		return copyup.Owner{}, err
	}
	defer u.Close()
	return copyup.ParseOwner(u, text)
}

// openLayers opens layers, the lowest first, as a union.
func openLayers(dirs []string, err error) (*union.FS, error) {
	if err != nil {
		return nil, err
	}
	slices.Reverse(dirs)
	return union.Open(dirs)
}

// source opens the place that files come from: a stage, an image, or the context, which alone has
// patterns to ignore.
func (b *builder) source(
	in *dockerfile.Instruction, ref string,
) (*union.FS, *dockerfile.Ignore, error) {
	if ref != "" {
		u, err := openLayers(b.dirsOf(in, ref))
		return u, nil, err
	}
	u, err := union.OpenTree(b.files.Dir)
	return u, b.files.Ignore, err
}

// dirsOf returns the layers of a stage or an image that --from names, the lowest first.
func (b *builder) dirsOf(in *dockerfile.Instruction, ref string) ([]string, error) {
	stage, err := b.file.StageFor(in, ref)
	if err != nil {
		return nil, err
	}
	if stage != nil {
		return b.built(stage).dirs()
	}
	if ref == "scratch" {
		return b.Store.layers().Empty()
	}
	image, err := b.image(ref, b.want)
	if err != nil {
		e := in.ErrorAt("from="+ref, "no stage above is called %s, and as an image: %v", ref, err)
		e.Suggestion = b.file.NearestStage(ref)
		return nil, e
	}
	return b.Store.layers().Root(image)
}

// change turns the attributes of a source into those of its copy.
func (c *copying) change(st *unix.Stat_t) {
	if c.w.Give != nil {
		st.Uid, st.Gid = uint32(c.owner.UID), uint32(c.owner.GID)
	}
	if c.chmod != nil {
		st.Mode = c.chmod(st.Mode)
	}
}

// all copies every source.
func (c *copying) all() error {
	c.w.Change, c.w.Bare = c.change, c.in.Flag("from") == ""
	if c.w.Bare || c.chown {
		c.w.Give = &c.owner
	}
	if number, err := strconv.ParseUint(c.in.Flag("chmod"), 8, 12); err == nil { // not symbolic
		c.w.NewMode = uint32(number) & 0o777
	}
	for _, doc := range c.in.Docs {
		if err := c.heredoc(doc); err != nil {
			return err
		}
	}
	for _, source := range c.in.Args[:len(c.in.Args)-1] {
		if err := c.copySource(source); err != nil {
			return c.in.ErrorAt(source, "%s %s: %v", c.in.Name, source, err)
		}
	}
	return nil
}

// heredoc writes a file whose content is in the Dockerfile.
func (c *copying) heredoc(doc dockerfile.Heredoc) error {
	target, err := c.w.Place(c.dest, path.Base(doc.Name), c.isDir, c.owner)
	if err != nil {
		return err
	}
	mode := uint32(0o644)
	if c.chmod != nil {
		mode = c.chmod(mode)
	}
	return c.w.Write(target, []byte(doc.Content), mode, c.owner, time.Now())
}

// copySource copies one source, which may be a pattern.
func (c *copying) copySource(source string) error {
	if c.in.Name == "ADD" && download.IsURL(source) {
		return c.fetch(source)
	}
	list, err := c.Find(source)
	for _, dir := range list {
		if err == nil {
			err = c.below(dir)
		}
	}
	return err
}

// below copies the files that were found in a directory. With --parents, the destination gets
// the times of that directory, as if the directory itself was copied.
func (c *copying) below(d sources.Dir) (err error) {
	c.w.Forget() // two sources share no inode
	var to string
	if c.Parents {
		if to, err = c.w.Resolve(c.dest, true, c.owner); err != nil {
			return err
		}
	}
	for _, f := range d.Files {
		if err := c.file(f); err != nil {
			return err
		}
	}
	if !c.Parents || d.Pivot == c.From.Root() {
		return nil
	}
	return c.w.CopyTimes(&d.Pivot.Stat_t, to)
}

// file copies one source to its place.
func (c *copying) file(f sources.File) error {
	dest := c.dest
	if c.Parents {
		if excluded, err := c.Excludes(f.At); excluded || err != nil {
			return err
		}
		var err error
		if dest, err = c.w.Parents(c.dest, f.Node, f.Pivot, c.owner); err != nil {
			return err
		}
	}
	if c.in.Name == "ADD" && c.in.Flag("unpack") != "false" && c.in.Flag("from") == "" {
		if unpacked, err := c.unpack(f, dest); unpacked || err != nil {
			return err
		}
	}
	if !c.Parents {
		c.w.Forget()
	}
	if f.IsDir() {
		return c.directory(f, dest)
	}
	return c.put(f, dest)
}

// put copies one file that is not a directory.
func (c *copying) put(f sources.File, dest string) error {
	target, err := c.w.Place(dest, path.Base(f.At), c.isDir, c.owner)
	if err != nil {
		return err
	}
	return c.w.Put(f.Node, target)
}

// directory copies the content of a directory. The one that it goes into gets its times, unless
// it is the context itself.
func (c *copying) directory(f sources.File, dest string) error {
	to, err := c.w.Resolve(dest, true, c.owner)
	if err == nil {
		err = c.tree(f.Node, f.Path(), to, c.Filter(f))
	}
	if err != nil || f.Path() == "." {
		return err
	}
	return c.w.CopyTimes(&f.Stat_t, to)
}

// tree copies the content of a directory of the source, whose path there is rel, into one that
// exists. A directory that is there already is merged with it, and gets its attributes.
func (c *copying) tree(n *union.Node, rel, to string, keep sources.Filter) error {
	return c.EachWanted(n, rel, keep, func(child *union.Node, below string) error {
		target := path.Join(to, child.Name())
		if !child.IsDir() {
			return c.w.Put(child, target)
		}
		if err := c.w.MergeDir(target); err != nil {
			return err
		}
		if err := c.tree(child, below, target, keep); err != nil {
			return err
		}
		return c.w.CopyAttributes(child, target)
	})
}
