// The mounts of RUN: secrets, directories that builds share, and files of the context, a stage
// or an image. They become mounts of the step's container, and are not in its layer.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/cachemount"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/sources"
)

// stepMounts are the --mount flags of a RUN.
type stepMounts struct {
	s    *stageBuild
	c    *Container
	in   *dockerfile.Instruction
	temp []string // directories to remove afterwards

	locks cachemount.Locks
}

// add adds them to the container.
func (m *stepMounts) add() error {
	for _, mount := range cachemount.InOrder(m.in.Mounts, m.s.config.Config.WorkingDir) {
		if err := mount.CheckTarget(); err != nil {
			return m.in.ErrorAt("--mount", "--mount=%v", err)
		}
		var err error
		switch mount.Type {
		case "tmpfs":
			m.c.Tmpfs = append(m.c.Tmpfs, mount.Target+":"+mount.TmpfsOptions())
		case "secret":
			err = m.secret(mount)
		case "cache":
			err = m.cache(mount)
		case "bind":
			err = m.bind(mount)
		case "ssh":
			if mount.Required {
				err = errors.New("type=ssh: not supported: box does not forward an SSH agent")
			}
		}
		if err != nil {
			return m.in.ErrorAt("--mount", "--mount=%v", err)
		}
	}
	return nil
}

// remove removes their files, and unlocks the caches.
func (m *stepMounts) remove() {
	complain(m.locks.Release())
	for _, dir := range m.temp {
		if err := m.s.b.Store.layers().Drop(dir); err != nil {
			fmt.Fprintf(os.Stderr, "box: %v\n", err)
		}
	}
}

// directory makes one that is removed after the step.
func (m *stepMounts) directory() (string, error) {
	dir, err := os.MkdirTemp(m.s.b.Store.path("images/partial"), "mount-*")
	m.temp = append(m.temp, dir)
	return dir, err
}

// mount binds a path of the host.
func (m *stepMounts) mount(source, target string, readOnly bool) {
	words := []string{"type=bind", "src=" + source, "dst=" + target}
	if readOnly {
		words = append(words, "readonly")
	}
	m.c.Mount = append(m.c.Mount, mountspec.Join(words...))
}

// command returns the script. One that begins with #! becomes a file, which the shell executes: so
// the interpreter is that of its first line.
func (m *stepMounts) command() ([]string, error) {
	words, doc := m.s.script(m.in), m.in.OnlyHeredoc()
	if len(words) == 0 {
		return nil, m.in.ErrorAt("", "RUN []: there is no command")
	}
	if text := words[len(words)-1]; doc != nil && !m.in.JSON && strings.HasPrefix(text, "#!") {
		target := "/dev/pipes/" + doc.Name
		words[len(words)-1] = target
		return words, m.file(target, []byte(text), 0o755, 0, 0)
	}
	return words, nil
}

// secret mounts a secret as a file, or sets a variable.
func (m *stepMounts) secret(mount dockerfile.Mount) error {
	id := mount.ID
	if id == "" {
		id = cmp.Or(mount.Source, path.Base(mount.Target))
	}
	given, known := m.s.b.secrets[id]
	if !known {
		if mount.Required {
			return fmt.Errorf("type=secret: the build was given no secret %q:"+
				" --secret id=%s,src=FILE gives it", id, id)
		}
		if mount.Env != nil {
			m.c.Env = append(m.c.Env, cmp.Or(*mount.Env, id)+"=")
		}
		return nil
	}
	data, err := given.Read(m.s.b.ctx)
	if err != nil {
		return fmt.Errorf("type=secret: %w", err)
	}
	if mount.Env != nil {
		m.c.Env = append(m.c.Env, cmp.Or(*mount.Env, id)+"="+string(data))
		if mount.Target == "" {
			return nil
		}
	}
	mode, uid, gid := mount.Attributes(0o400)
	return m.file(cmp.Or(mount.Target, "/run/secrets/"+id), data, mode, uid, gid)
}

// file mounts a file that is the step's own.
func (m *stepMounts) file(target string, data []byte, mode, uid, gid int) error {
	dir, err := m.directory()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, data, 0o400); err != nil {
		return err
	}
	m.mount(file, target, true)
	return m.give(file, mode, uid, gid)
}

// give sets owner and mode. An ordinary user's files are root's inside.
func (m *stepMounts) give(file string, mode, uid, gid int) error {
	if os.Geteuid() == 0 {
		if err := os.Chown(file, uid, gid); err != nil {
			return err
		}
	}
	return about("chmod", file, unix.Chmod(file, uint32(mode)&0o7777))
}

// cache mounts a directory that other builds see too. With sharing=locked they wait for each
// other; with private each gets its own if others are running.
func (m *stepMounts) cache(mount dockerfile.Mount) error {
	id, err := m.cacheID(mount)
	if err != nil {
		return err
	}
	dir := m.s.b.Store.path("cache", "mounts", digest.FromString(id).Encoded()[:32])
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("%w; remove it", err)
	}
	dir, err = m.locks.Lock(m.s.b.ctx, dir, mount.Sharing)
	if err != nil {
		return err
	}
	if b := m.s.b; b.uncached(m.s) { // a later command, which is alone, removes the old one
		trash := b.Store.path("images/partial", "mount-"+ids.New()[:12])
		if err := b.emptied.Empty(dir, trash); err != nil {
			return err
		}
	}
	m.mount(dir, mount.Target, mount.ReadOnly)
	if err := files.CheckDir(dir); errors.Is(err, unix.ENOENT) {
		return m.newCache(dir, mount)
	} else if err != nil {
		return fmt.Errorf("%w; remove it", err)
	}
	return nil
}

// cacheID returns what names the directory of a cache mount: its id, and all that it begins with.
func (m *stepMounts) cacheID(mount dockerfile.Mount) (id string, err error) {
	layers := ""
	if mount.From != "" || mount.Source != "" {
		layers, err = m.s.b.layersOf(m.in, cmp.Or(mount.From, "scratch"))
	}
	return cachemount.ID(mount, layers), err
}

// layersOf returns the digests of the layers of a stage or an image.
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

// newCache makes the directory, with the content of from=, if that is given.
func (m *stepMounts) newCache(dir string, mount dockerfile.Mount) error {
	temp, err := m.directory()
	if err != nil {
		return err
	}
	build := filepath.Join(temp, "root")
	if mount.From != "" {
		err = m.fill(build, mount)
	} else if err = os.Mkdir(build, 0o755); err == nil {
		mode, uid, gid := mount.Attributes(0o755)
		err = m.give(build, mode&0o777, uid, gid)
	}
	if err != nil {
		return err
	}
	if err = os.Rename(build, dir); err != nil && exists(dir) { // another build was faster
		return nil
	}
	return err
}

// bind mounts files of the context, a stage or an image. They are the step's own copy, which it
// may change, and which is removed afterwards; a directory of the context that it may only read is
// mounted where it is.
func (m *stepMounts) bind(mount dockerfile.Mount) error {
	dir, err := m.directory()
	if err != nil {
		return err
	}
	if mount.From == "" && mount.ReadOnly {
		if shown, err := m.show(dir, mount); shown || err != nil {
			return err
		}
	}
	m.mount(filepath.Join(dir, "root"), mount.Target, mount.ReadOnly)
	return m.fill(filepath.Join(dir, "root"), mount)
}

// show mounts a directory of the context as an overlay of two: the upper one is empty, and has the
// owner, the mode and the time that the copy would have. It reports false if a copy would look
// otherwise, or if an overlay cannot lie there.
func (m *stepMounts) show(dir string, mount dockerfile.Mount) (bool, error) {
	from, ignore, err := m.s.b.source(m.in, "")
	if err != nil {
		return false, err
	}
	defer from.Close()
	n, err := from.Find(cmp.Or(mount.Source, "/"), true)
	if err != nil || !n.IsDir() {
		return false, nil // fill says what is wrong
	}
	context, err := filepath.Abs(m.s.b.files.Dir) // the process that mounts it is elsewhere
	if err == nil {
		context, err = filepath.EvalSymlinks(context)
	}
	if err != nil {
		return false, err
	}
	top, lower := filepath.Join(dir, "top"), filepath.Join(context, n.Path())
	if asIs, err := sources.AsIs(n, ignore); err != nil || !asIs || !union.CanShow(lower, dir) {
		return false, err
	}
	err = errors.Join(os.Mkdir(top, 0o700), m.give(top, 0o755, 0, 0))
	if n != from.Root() {
		err = errors.Join(err, m.give(top, int(n.Mode), 0, 0),
			unix.UtimesNano(top, []unix.Timespec{n.Atim, n.Mtim}))
	}
	if err != nil {
		return false, err
	}
	name := fmt.Sprint("context", len(m.c.asImages))
	m.c.asImages = withKey(m.c.asImages, name, []string{top, lower})
	m.c.Mount = append(m.c.Mount, mountspec.Join("type=image", "src="+name, "dst="+mount.Target))
	return true, nil
}

// fill copies the files of a mount.
func (m *stepMounts) fill(to string, mount dockerfile.Mount) error {
	from, ignore, err := m.s.b.source(m.in, mount.From)
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := from.Find(cmp.Or(mount.Source, "/"), true)
	if err != nil {
		return fmt.Errorf("type=%s: there is no %s", mount.Type, mount.Source)
	}
	nothing, err := m.s.b.Store.layers().Empty()
	if err != nil {
		return err
	}
	w, err := copyup.New(filepath.Dir(to), nothing)
	if err != nil {
		return err
	}
	c := &copying{Search: sources.Search{From: from, Ignore: ignore}, s: m.s, in: m.in, w: w}
	if mount.From == "" { // the files of the context are root's
		w.Change, w.Bare = c.change, true
		if os.Geteuid() == 0 {
			w.Give = &c.owner
		}
	}
	return errors.Join(c.mounted(n, filepath.Base(to), mount), w.Close())
}

// mounted copies one file or directory for a mount.
func (c *copying) mounted(n *union.Node, to string, mount dockerfile.Mount) error {
	ignored, err := c.Ignored(n)
	switch {
	case err != nil:
		return err
	case ignored:
		return fmt.Errorf("type=%s: .dockerignore leaves %s out", mount.Type, mount.Source)
	case !n.IsDir():
		return c.w.Put(n, to)
	}
	if err := c.w.MergeDir(to); err != nil {
		return err
	}
	if err := c.tree(n, n.Path(), to, c.Filter(sources.File{})); err != nil || n == c.From.Root() {
		return err
	}
	return c.w.CopyAttributes(n, to)
}
