// Packing: the reverse of unpack.go. The same directory always gives the same bytes.

package layer

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Pack writes a directory in overlay's form, such as the upper one of a container, as a tar stream:
// by name, and the marker of an opaque directory right after it. The same directory gives the same
// bytes on any machine. The layer's own directory is left out, as Docker does. owners are the paths
// of the owners files of the directory itself, or of the layers below an upper directory, the top
// one first; they may be missing.
func Pack(w io.Writer, dir string, owners ...string) (sum Sum, err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err != nil {
		return sum, about("open", dir, err)
	}
	defer unix.Close(fd)
	s := newSummer()
	p := &packer{archive: files.NewArchive(io.MultiWriter(w, s))}
	if p.owners, err = ReadOwners(owners...); err != nil {
		return sum, err
	}
	if err := p.pack(fd); err != nil {
		return sum, fmt.Errorf("pack the layer %s: %w", dir, err)
	}
	return s.Sum(), nil
}

// packer is at work on one layer.
type packer struct {
	archive *files.Archive
	owners  map[string]*Owner
}

func (p *packer) pack(dir int) error {
	opaque, err := overlayMarks(dir)
	if err == nil && opaque {
		err = p.marker(opaqueMarker)
	}
	if err == nil {
		err = files.Walk(dir, p.add)
	}
	if err == nil {
		err = p.archive.Close()
	}
	return err
}

// add writes one file, or the whiteout of one.
func (p *packer) add(name string, fd int) error {
	if isMark(path.Base(name)) {
		return fmt.Errorf("%q: in a layer, a name that begins with %s says "+
			"that another file was removed: rename it", name, whiteoutPrefix)
	}
	h, id, err := files.Describe(name, fd)
	if err != nil || h == nil {
		return err
	}
	if h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 {
		return p.marker(path.Join(path.Dir(name), whiteoutPrefix+path.Base(name)))
	}
	opaque := false
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeDir {
		if opaque, err = overlayMarks(fd); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	if o := p.owners[name]; o != nil {
		o.Restore(h)
	}
	if err := p.archive.Write(h, id, fd); err != nil || !opaque {
		return err
	}
	return p.marker(path.Join(name, opaqueMarker))
}

// marker writes an empty file that is about lower layers.
func (p *packer) marker(name string) error {
	h := &tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, ModTime: epoch}
	return p.archive.Write(h, files.ID{}, -1)
}

// overlayMarks reads overlay's own attributes of a file. A file whose content is elsewhere cannot
// be packed.
func overlayMarks(fd int) (opaque bool, err error) {
	names, err := files.Xattrs(fd)
	for _, name := range names {
		_, mark, _ := strings.Cut(name, ".overlay.")
		switch {
		case err != nil || files.Portable(name):
		case mark == "opaque":
			var value string
			value, err = files.Xattr(fd, name)
			opaque = opaque || value == "y"
		case mark == "redirect", mark == "metacopy":
			err = fmt.Errorf("by its attribute %s, its content is in a lower layer: "+
				"mount the overlay with redirect_dir=off,metacopy=off", name)
		}
	}
	return opaque, err
}
