// ADD: archives of the context, which are unpacked, and URLs, which are fetched.

package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/sources"
)

// unpack unpacks an archive, if the file is one, as if its files were copied.
func (c *copying) unpack(f sources.File, dest string) (bool, error) {
	if !f.Is(unix.S_IFREG) || f.Size == 0 {
		return false, nil
	}
	fd, err := f.Open(unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	file := os.NewFile(uintptr(fd), f.At)
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	err = layer.FirstHeader(in) // zeros, as at the start of a disk image, are no archive
	if errors.Is(err, exec.ErrNotFound) {
		return true, err
	}
	if err != nil {
		return false, nil
	}
	stream, _, err := layer.Decompress(in)
	if err != nil {
		return true, err
	}
	defer stream.Close()
	var who *copyup.Owner // the archive's
	if c.chown {
		who = &c.owner
	}
	return true, c.w.Unpack(stream, dest, who, c.s.b.Store.layerLimits().check)
}

func isURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// fetch copies a file from a web server. It goes to a file of the store first, so that neither
// its size nor a wrong checksum does harm.
func (c *copying) fetch(source string) error {
	u, err := url.Parse(source)
	if err != nil {
		return err
	}
	if strings.HasSuffix(u.Path, ".git") {
		return errors.New(
			"a git repository is not fetched: clone it beside the Dockerfile, and COPY it")
	}
	got, err := c.get(source)
	if err != nil {
		return err
	}
	defer got.Close()
	if got.name == "" && c.isDir {
		return errors.New("the address has no file's name at its end")
	}
	dir, err := os.MkdirTemp(c.s.b.Store.path("images/partial"), "fetch-*")
	if err != nil {
		return err
	}
	file := path.Join(dir, cmp.Or(got.name, "download"))
	at, err := http.ParseTime(got.modified)
	if err != nil {
		at = time.Unix(0, 0)
	}
	if err = c.download(got, file); err == nil {
		err = errors.Join(os.Chtimes(file, at, at), c.fetched(dir, path.Base(file)))
	}
	return errors.Join(err, removeTree(dir))
}

// answer is the body of an answer, and headers of it.
type answer struct {
	io.ReadCloser
	name     string // of the file
	modified string // Last-Modified
}

// fileName is the name that a server gives a file, or else the end of its address.
func fileName(u *url.URL, header http.Header) string {
	_, words, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if name := path.Base(path.Clean("/" + words["filename"])); err == nil && name != "/" {
		return name
	}
	name := path.Base(u.Path)
	if !strings.HasSuffix(u.Path, "/") && name != "." && name != ".." {
		return name
	}
	return ""
}

// download writes the body of an answer to a file, and compares it with --checksum.
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

// fetched copies the file that was fetched, or with --unpack its content.
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
	f := sources.File{Node: n, At: name}
	if c.in.Flag("unpack") == "true" {
		if unpacked, err := c.unpack(f, c.dest); unpacked || err != nil {
			return err
		}
	}
	return c.put(f, c.dest)
}
