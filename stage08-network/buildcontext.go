// The context of a build: the files that COPY can take. It is a directory, or a tar archive
// that comes on standard input; the Dockerfile is one of them, or another file, or comes on
// standard input itself.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/registry"
	"stagebox/stage06-dockerfile/dockerfile"
)

// buildContext is what a build begins with.
type buildContext struct {
	dir            string
	temporary      bool
	ignore         *dockerfile.Ignore
	dockerfile     []byte
	dockerfileName string // for messages
}

// openContext reads the Dockerfile, and says where the files are.
func openContext(context, file string) (*buildContext, error) {
	if context == "-" && file == "-" {
		return nil, errors.New("build - -f -: both the context and the Dockerfile cannot come on standard input")
	}
	if context == "-" {
		return contextFromInput(file)
	}
	info, err := os.Stat(context)
	if err != nil {
		return nil, fmt.Errorf("the context: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("the context %s is a file: give the directory that it is in, and the file with -f", context)
	}
	c := &buildContext{dir: context}
	if file == "-" {
		c.dockerfileName = "standard input"
		if c.dockerfile, err = io.ReadAll(io.LimitReader(os.Stdin, registry.MaxDocument)); err == nil {
			c.ignore, err = dockerfile.ReadIgnore("", context)
		}
		return c, err
	}
	return c, c.readDockerfile(file)
}

// readDockerfile reads the Dockerfile and the patterns to ignore.
func (c *buildContext) readDockerfile(file string) (err error) {
	name := file
	if name == "" {
		name = filepath.Join(c.dir, "Dockerfile")
	} else if !exists(name) && !filepath.IsAbs(name) && exists(filepath.Join(c.dir, name)) {
		name = filepath.Join(c.dir, name)
	}
	if c.dockerfile, err = os.ReadFile(name); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("there is no Dockerfile: %w; -f names another file", err)
		}
		return err
	}
	c.dockerfileName = filepath.Base(name)
	c.ignore, err = dockerfile.ReadIgnore(name, c.dir)
	return err
}

// contextFromInput reads an archive, compressed or not, or else a Dockerfile without a context.
func contextFromInput(file string) (*buildContext, error) {
	dir, err := os.MkdirTemp("", "box-context-*")
	if err != nil {
		return nil, err
	}
	c := &buildContext{dir: dir, temporary: true}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	if !layer.IsLayer(in) {
		c.dockerfileName = "standard input"
		c.dockerfile, err = io.ReadAll(io.LimitReader(in, registry.MaxDocument))
		if err == nil {
			c.ignore, err = dockerfile.ParseIgnore(".dockerignore", nil)
		}
		return c, c.orClosed(err)
	}
	if _, err := layer.Unpack(in, dir, Store{}.layerLimits().check); err != nil {
		return nil, c.orClosed(fmt.Errorf("the context on standard input: %w", err))
	}
	name := ""
	if file != "" {
		name = filepath.Join(dir, filepath.Join("/", file))
	}
	return c, c.orClosed(c.readDockerfile(name))
}

// orClosed removes what there is of a context that is of no use.
func (c *buildContext) orClosed(err error) error {
	if err != nil {
		return errors.Join(err, c.close())
	}
	return nil
}

func (c *buildContext) close() error {
	if !c.temporary {
		return nil
	}
	return Store{}.dropLayer(c.dir)
}

// union are the files of the context.
func (c *buildContext) union() (*union.FS, error) { return union.Open([]string{c.dir}) }
