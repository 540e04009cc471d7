// A layer is a tar stream of what changed, and in the store a directory that overlay can
// stack. The two differ in how they say that something is gone: in tar an empty file
// .wh.NAME stands for a removed NAME, and .wh..wh..opq in a directory for all that lower
// layers have in it (layer.md of the OCI image specification); for overlay it is a character
// device 0:0, and an attribute of the directory (overlayfs in the kernel's Documentation).
// packLayer makes the stream; unpackLayer, in another file, the directory.
package main

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/files"
)

// LayerLimits are against bombs: archives that are small, and endless when they are unpacked.
type LayerLimits struct {
	MaxLayerSize  units.Size `help:"How large a layer may be when it is unpacked; -1 for any size." default:"64g" placeholder:"SIZE" group:"Layers:"`
	MaxLayerFiles int64      `help:"How many files and directories a layer may have; -1 for any number." default:"4000000" placeholder:"N" group:"Layers:"`
}

// check tells which limit so many bytes or files exceed. Without signs, -1 is more than any
// number, and so is a count that has overflowed.
func (l LayerLimits) check(bytes, files int64) error {
	if uint64(bytes) > uint64(l.MaxLayerSize) {
		return fmt.Errorf("the layer is larger than %s: if you trust it, allow more with --max-layer-size", units.FormatSize(int64(l.MaxLayerSize)))
	}
	if uint64(files) > uint64(l.MaxLayerFiles) {
		return fmt.Errorf("the layer has more than %d files and directories: if you trust it, allow more with --max-layer-files", l.MaxLayerFiles)
	}
	return nil
}

// layerSum is what is known of a layer once its tar stream has gone by. DiffID is the digest
// of the stream, as an image's config lists it; Bytes is its length.
type layerSum struct {
	DiffID digest.Digest
	Bytes  int64
}

// epoch is the time of what no archive has a time for.
var epoch = time.Unix(0, 0)

const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
)

// packLayer writes a directory in overlay's form, such as the upper one of a container, as a
// tar stream: by name, and an opaque directory's marker straight after it. The same directory
// gives the same bytes on any machine. The layer's own directory is left out, as Docker does.
// owners are the files of ownersSuffix that belong to it, or to the layers below an upper
// directory, the top one first; those that do not exist say nothing.
func packLayer(w io.Writer, dir string, owners ...string) (sum layerSum, err error) {
	s := &summer{hash: sha256.New()}
	if hasMany() {
		err := goInside(io.MultiWriter(w, s), append([]string{"pack", dir}, owners...)...)
		return s.sum(), err
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return sum, about("open", dir, err)
	}
	defer unix.Close(fd)
	p := &packer{archive: files.NewArchive(io.MultiWriter(w, s))}
	if p.owners, err = readOwners(owners); err != nil {
		return sum, err
	}
	opaque, err := overlayMarks(fd)
	if err == nil && opaque {
		err = p.marker(opaqueMarker)
	}
	if err == nil {
		err = files.Walk(fd, p.add)
	}
	if err == nil {
		err = p.archive.Close()
	}
	if err != nil {
		return sum, fmt.Errorf("pack the layer %s: %w", dir, err)
	}
	return s.sum(), nil
}

// packer is at work on one layer.
type packer struct {
	archive *files.Archive
	owners  map[string]*intention
}

// add writes one file, or what stands for its removal.
func (p *packer) add(name string, fd int) error {
	if isMark(path.Base(name)) {
		return fmt.Errorf("%q: in a layer, a name that begins with %s says that another file was removed: rename it", name, whiteoutPrefix)
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
	if i := p.owners[name]; i != nil {
		i.restore(h)
	}
	if err := p.archive.Write(h, id, fd); err != nil || !opaque {
		return err
	}
	return p.marker(path.Join(name, opaqueMarker))
}

// marker writes an empty file that is about lower layers.
func (p *packer) marker(name string) error {
	return p.archive.Write(&tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, ModTime: epoch}, files.ID{}, -1)
}

// overlayMarks reads what overlay has noted about a file. A file whose content is elsewhere
// cannot be packed.
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
			err = fmt.Errorf("by its attribute %s, its content is in a lower layer: mount the overlay with redirect_dir=off,metacopy=off", name)
		}
	}
	return opaque, err
}

// summer computes the sum of a stream that goes by.
type summer struct {
	hash  hash.Hash
	bytes int64
}

func (s *summer) Write(data []byte) (int, error) {
	s.bytes += int64(len(data))
	return s.hash.Write(data)
}

func (s *summer) sum() layerSum {
	return layerSum{digest.NewDigest(digest.SHA256, s.hash), s.bytes}
}

// readAhead reads and sums a stream on one processor, while another makes files of it.
type readAhead struct {
	summer
	full, empty chan []byte
	quit        chan struct{}
	block, rest []byte // that is being read from, and what is left of it
	err         error  // why there are no more blocks, once full is closed
}

func startReadAhead(r io.Reader, limits LayerLimits) *readAhead {
	const blocks, size = 4, 1 << 20
	a := &readAhead{summer: summer{hash: sha256.New()}, full: make(chan []byte, blocks), empty: make(chan []byte, blocks), quit: make(chan struct{})}
	for range blocks {
		a.empty <- make([]byte, size)
	}
	go a.run(r, limits)
	return a
}

func (a *readAhead) run(r io.Reader, limits LayerLimits) {
	defer close(a.full)
	for a.err == nil {
		var block []byte
		select {
		case block = <-a.empty:
		case <-a.quit:
			return
		}
		var n int
		n, a.err = r.Read(block[:cap(block)])
		_, sumErr := a.Write(block[:n])
		if a.err == nil {
			a.err = cmp.Or(sumErr, limits.check(a.bytes, 0))
		}
		a.full <- block[:n] // there is room for all of them
	}
}

// Read is io.Reader's.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.block != nil {
			a.empty <- a.block
		}
		if a.rest = <-a.full; a.rest == nil {
			a.block = nil
			return 0, a.err
		}
		a.block = a.rest
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop waits until the stream is not read any more.
func (a *readAhead) stop() {
	close(a.quit)
	for range a.full {
	}
}
