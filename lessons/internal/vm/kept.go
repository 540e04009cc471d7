package vm

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
)

// Keep adds the files of a tar archive below a directory of a root that is finished, in the place of
// those that were added before: the next machine begins with them. It is a second archive after the
// first, and the kernel unpacks one after the other.
func (r *Root) Keep(dir string, files *tar.Reader) error {
	if err := r.Forget(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(r.memory, r.archive.size), 1<<20)
	kept := &converter{&archive{out: out}, dir, map[string]node{}}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return errors.Join(kept.finish(), out.Flush())
		}
		if err == nil {
			err = kept.add(h, files)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("files to keep: %w", err), r.Forget())
		}
	}
}

// Forget removes the files that Keep has added.
func (r *Root) Forget() error { return r.memory.Truncate(r.archive.size) }

// kinds are the types of files by their names in a tar archive.
var kinds = map[byte]int{tar.TypeReg: regular, tar.TypeDir: directory, tar.TypeSymlink: symlink,
	tar.TypeChar: 0o020000, tar.TypeBlock: 0o060000, tar.TypeFifo: 0o010000}

// converter adds entries of a tar archive to one of cpio's.
type converter struct {
	*archive
	dir string
	had map[string]node // by the names in the tar archive
}

// add adds an entry. The node of a hard link has the number of the file that it leads to, and no
// content.
func (c *converter) add(h *tar.Header, content io.Reader) error {
	n, err := c.node(h, content)
	if err != nil {
		return err
	}
	n.name = path.Join(c.dir, h.Name)
	n.number = c.write(n)
	c.had[path.Clean(h.Name)] = n
	return c.err
}

// node is an entry's file.
func (c *converter) node(h *tar.Header, content io.Reader) (node, error) {
	if h.Typeflag == tar.TypeLink {
		n, ok := c.had[path.Clean(h.Linkname)]
		n.size, n.content = 0, nil
		if !ok {
			return n, fmt.Errorf("%s: hard link to %s, which is not there", h.Name, h.Linkname)
		}
		return n, nil
	}
	kind, ok := kinds[h.Typeflag]
	if !ok {
		return node{}, fmt.Errorf("%s: unknown type %q", h.Name, h.Typeflag)
	}
	n := node{mode: kind | int(h.Mode&0o7777), uid: h.Uid, gid: h.Gid, time: h.ModTime.Unix(),
		links: 2, // with 1 the kernel would not remember it for others
		major: h.Devmajor, minor: h.Devminor, size: h.Size, content: content}
	if kind == symlink {
		n.target = h.Linkname
	}
	return n, nil
}
