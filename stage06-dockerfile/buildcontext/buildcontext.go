// Package buildcontext opens the context of a build: the files that COPY can take, and the
// Dockerfile. A context is a directory, or a tar archive that comes on standard input and is
// unpacked. The Dockerfile is a file of it, another file, or comes on standard input itself,
// with a context or without.
//
// The files of a context may be a stranger's. The Dockerfile and the patterns to ignore are opened
// below the context, so no link leads out of it, and they are regular files of at most MaxFile.
package buildcontext

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage05-images/layer"
	"stagebox/stage06-dockerfile/dockerfile"
)

// Context is what a build begins with.
type Context struct {
	Dir        string
	Temporary  bool // Dir is removed by Close
	Ignore     *dockerfile.Ignore
	Dockerfile []byte // its content
	Name       string // of the Dockerfile, for messages

	remove func(dir string) error
}

// Archive says how an archive on standard input is read.
type Archive struct {
	Stdin  io.Reader
	Limit  layer.Limit            // refuses an archive that is too large
	Remove func(dir string) error // removes the directory that it was unpacked into
}

// Open opens the context in a directory, or if dir is "-" that on standard input. file is the
// path of the Dockerfile, "-" for standard input, or "" for Dockerfile in the context. When ctx
// ends, nothing is waited for any longer.
func Open(ctx context.Context, dir, file string, a Archive) (*Context, error) {
	a.Stdin = Reader(ctx, a.Stdin)
	if dir == "-" && file == "-" {
		return nil, errors.New(
			"build - -f -: both the context and the Dockerfile cannot come on standard input")
	}
	if dir == "-" {
		return a.open(file)
	}
	info, err := os.Stat(dir)
	switch {
	case err == nil:
	case dir == "":
		return nil, errors.New("build context: its name is empty: . is the current directory")
	case strings.Contains(dir, "://") || strings.HasPrefix(dir, "git@"):
		return nil, fmt.Errorf("build context %s: a context is not fetched: "+
			"clone or download it, and give the directory, or - for an archive on standard input", dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("build context %s: no such directory", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("build context: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("build context %s: not a directory: "+
			"give the directory that the file is in, and the file with -f", dir)
	}
	c := &Context{Dir: dir}
	if file == "-" {
		if err = c.readDockerfile(a.Stdin); err == nil {
			err = c.readIgnore("")
		}
		return c, err
	}
	return c, c.openDockerfile(ctx, file)
}

// readDockerfile reads the Dockerfile from standard input.
func (c *Context) readDockerfile(in io.Reader) (err error) {
	c.Name = "standard input"
	c.Dockerfile, err = readAll(in)
	return about("read the Dockerfile", "on standard input", err)
}

// openDockerfile reads the Dockerfile from a file, and the patterns to ignore. One that the caller
// names outside of the context is the caller's own; it may also be a pipe of the caller's shell.
func (c *Context) openDockerfile(ctx context.Context, file string) (err error) {
	name, inside := file, filepath.Join(c.Dir, file)
	switch {
	case file == "":
		name = filepath.Join(c.Dir, "Dockerfile")
	case !exists(file) && !filepath.IsAbs(file) && exists(inside):
		name = inside
	}
	c.Name = filepath.Base(name)
	if rel, below := c.below(name); below {
		c.Dockerfile, err = c.read(rel)
	} else if ownPipe().MatchString(name) {
		c.Dockerfile, err = ReadFile(ctx, name)
	} else {
		c.Dockerfile, err = readRegular(os.OpenFile(name, unix.O_RDONLY|unix.O_NONBLOCK, 0))
	}
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("there is no Dockerfile: %w%s", err, c.whereIs(file))
	}
	if err != nil {
		return about("read the Dockerfile", name, err)
	}
	return c.readIgnore(name)
}

// whereIs says what to do about a Dockerfile that is missing.
func (c *Context) whereIs(file string) string {
	switch {
	case file == "":
		return "; -f names another file"
	case c.Temporary:
		return "; the path of -f is relative to the archive"
	case filepath.IsAbs(file):
		return ""
	}
	return "; the path of -f is relative to the current directory, or else to the context"
}

// ownPipe is the name of a descriptor of the caller's, such as a shell makes for <(command). It
// is compiled when it is needed: every start of box would spend time on it.
var ownPipe = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/(dev/stdin|(dev|proc/self)/fd/[0-9]+)$`)
})

// below returns the path of a file below the context, if it is there by its name.
func (c *Context) below(name string) (string, bool) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return "", false
	}
	full, err := filepath.Abs(name)
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(dir, full)
	return rel, err == nil && filepath.IsLocal(rel)
}

// readIgnore reads the patterns to ignore: those beside the Dockerfile, which has this name or "",
// or those of the context.
func (c *Context) readIgnore(name string) error {
	patterns, err := []byte(nil), error(unix.ENOENT)
	at := name + ".dockerignore"
	if rel, below := c.below(at); name != "" && below {
		patterns, err = c.read(rel)
	} else if name != "" && !ownPipe().MatchString(name) {
		patterns, err = readRegular(os.OpenFile(at, unix.O_RDONLY|unix.O_NONBLOCK, 0))
	}
	if errors.Is(err, unix.ENOENT) {
		at = ".dockerignore"
		patterns, err = c.read(at)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return about("read the patterns to ignore,", at, err)
	}
	c.Ignore, err = dockerfile.ParseIgnore(at, patterns)
	return err
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// open reads an archive, compressed or not, or else a Dockerfile without a context.
func (a Archive) open(file string) (*Context, error) {
	dir, err := os.MkdirTemp("", "box-context-*")
	if err != nil {
		return nil, err
	}
	c := &Context{Dir: dir, Temporary: true, remove: a.Remove}
	in := bufio.NewReaderSize(a.Stdin, 1<<20)
	if !layer.IsLayer(in) {
		if err = c.readDockerfile(in); err == nil {
			c.Ignore, err = dockerfile.ParseIgnore(".dockerignore", nil)
		}
		return c, c.closeOn(err)
	}
	if err := a.unpack(in, dir); err != nil {
		return nil, c.closeOn(fmt.Errorf("build context on standard input: %w", err))
	}
	if file != "" {
		file = filepath.Join(dir, filepath.Join("/", file))
	}
	return c, c.closeOn(c.openDockerfile(context.Background(), file))
}

func (a Archive) unpack(in io.Reader, dir string) error {
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = layer.UnpackFiles(stream, dir, a.Limit)
	return err
}

// closeOn closes a context that is not used because of an error.
func (c *Context) closeOn(err error) error {
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// Newest returns the time of the file of an archive that changed last. It is nil for a directory,
// whose times are those of a checkout, and where there is no file.
func (c *Context) Newest() (newest *time.Time, err error) {
	if !c.Temporary {
		return nil, nil
	}
	err = filepath.WalkDir(c.Dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && (newest == nil || info.ModTime().After(*newest)) {
			at := info.ModTime().UTC()
			newest = &at
		}
		return err
	})
	return newest, err
}

// Close removes the files of an archive.
func (c *Context) Close() error {
	if !c.Temporary {
		return nil
	}
	return c.remove(c.Dir)
}
