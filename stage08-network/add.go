// ADD: archives of the context, which are unpacked, and URLs, which are fetched.

package main

import (
	"cmp"
	"errors"
	"os"
	"path"

	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/digest"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/download"
	"stagebox/stage06-dockerfile/sources"
)

// unpack unpacks an archive, if the file is one, as if its files were copied.
func (c *copying) unpack(f sources.File, dest string) (bool, error) {
	var who *copyup.Owner // the archive's
	if c.chown {
		who = &c.owner
	}
	return c.w.UnpackFile(f.Node, dest, who, c.s.b.limitFor("archive"))
}

// fetch copies a file from a web server. It goes to a file of the store first, so that neither
// its size nor a wrong checksum does harm.
func (c *copying) fetch(source string) error {
	dir, err := os.MkdirTemp(c.s.b.Store.path("images/partial"), "fetch-*")
	if err != nil {
		return err
	}
	return errors.Join(c.fetchInto(dir, source), removeTree(dir))
}

// fetchInto fetches a file into an empty directory, and copies it from there.
func (c *copying) fetchInto(dir, source string) error {
	file, err := os.OpenFile(path.Join(dir, ".new"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	got, err := c.get(source, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if got.Name == "" && c.isDir {
		return errors.New("the URL has no file name at its end")
	}
	at, named := got.Modified(), path.Join(dir, cmp.Or(got.Name, "download"))
	if err := os.Rename(file.Name(), named); err != nil {
		return err
	}
	return errors.Join(os.Chtimes(named, at, at), c.fetched(dir, path.Base(named)))
}

// request is what is asked of a web server.
func (c *copying) request(source string) download.Request {
	limit := func(bytes int64) error { return c.s.b.limitFor("download")(bytes, 1) }
	return download.Request{
		URL: source, Checksum: digest.Digest(c.in.Flag("checksum")), Limit: limit,
	}
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
