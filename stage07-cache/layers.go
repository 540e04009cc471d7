// Layers, as the store makes them: how large they may be, and who packs them. What a layer is, as
// a tar stream and as a directory, is in the package layer.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
)

// packLayer is layer.Pack, which runs inside if the files have many owners.
func packLayer(w io.Writer, dir string, owners ...string) (layer.Sum, error) {
	if !hasMany() {
		return layer.Pack(w, dir, owners...)
	}
	s := layer.NewSummer()
	err := goInside(io.MultiWriter(w, s), append([]string{"pack", dir}, owners...)...)
	return s.Sum(), err
}

// layerLimits are those that were asked for, or the usual ones.
func (s Store) layerLimits() LayerLimits {
	if s.limits == (LayerLimits{}) {
		return LayerLimits{MaxLayerSize: 64 << 30, MaxLayerFiles: 4_000_000}
	}
	return s.limits
}

// keepLayer gives an unpacked layer, once it is on the disk, its name, and first what is known
// of its owners. If somebody else has made the layer meanwhile, that one serves as well.
func (s Store) keepLayer(build string, diffID digest.Digest) error {
	if exists(build+layer.OwnersSuffix) && hasMany() {
		if err := goInside(nil, "own", build); err != nil {
			return err
		}
	}
	if err := os.Chmod(build, 0o755); err != nil {
		return err
	}
	if err := files.Sync(build); err != nil {
		return err
	}
	if exists(build + layer.OwnersSuffix) {
		if err := os.Rename(build+layer.OwnersSuffix, s.layerPath(diffID)+layer.OwnersSuffix); err != nil {
			return err
		}
	}
	err := unix.Renameat2(unix.AT_FDCWD, build, unix.AT_FDCWD, s.layerPath(diffID), unix.RENAME_NOREPLACE)
	if err == unix.EEXIST {
		return s.dropLayer(build)
	}
	return about("rename", build, err)
}

// dropLayer removes a layer that is not wanted.
func (s Store) dropLayer(build string) error {
	return errors.Join(removeTree(build), os.RemoveAll(build+layer.OwnersSuffix))
}

// keepUpper makes a layer of a directory, which stays as it is, and its blob, so that other
// tools can read it from the store. below are the layers that the directory lies on.
func (s Store) keepUpper(upper string, below ...string) (ocispec.Descriptor, error) {
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	packed, err := packLayer(file, upper, ownersOf(below)...)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: packed.DiffID, Size: packed.Bytes}
	if err == nil && !exists(s.layerPath(d.Digest)) {
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			err = s.unpackAs(file, d.Digest)
		}
	}
	return d, s.keepBlob(file, d.Digest, err)
}

// ownersOf are the files beside layers, the top one first.
func ownersOf(layers []string) []string {
	var list []string
	for _, dir := range layers {
		list = append(list, dir+layer.OwnersSuffix)
	}
	return list
}

// layerSize is the bytes of a layer's files. It is counted once, and noted beside the layer.
func (s Store) layerSize(diffID digest.Digest) int64 {
	var known struct{ Size int64 }
	note := s.layerPath(diffID) + ".json"
	if err := state.ReadJSON(note, &known); err == nil {
		return known.Size
	}
	dir, err := unix.Open(s.layerPath(diffID), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(dir)
	if known.Size, err = files.Size(dir); err == nil {
		complain(s.writeNote(note, known))
	}
	return known.Size
}

// writeNote keeps what is known of a layer, which several may find out at once.
func (s Store) writeNote(path string, value any) error {
	return s.withLock("images/index.lock", func() error {
		return state.WriteJSON(path, value, state.Volatile)
	})
}

// hasMany tells whether the caller is an ordinary user whose containers have many users.
func hasMany() bool {
	if os.Geteuid() == 0 {
		return false
	}
	uids, _, err := grants()
	return err == nil && len(uids) > 0
}

// goInside has box do something inside, and takes what it writes.
func goInside(out io.Writer, words ...string) error {
	var said bytes.Buffer
	box := exec.Command("/proc/self/exe", append([]string{"inside"}, words...)...)
	box.Stdout, box.Stderr = out, &said
	err := box.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(cmp.Or(strings.TrimPrefix(strings.TrimSpace(said.String()), "box: "), err.Error()))
	}
	return err
}

// wrongLayer is a layer that is not what its image says.
type wrongLayer struct{ is, want digest.Digest }

func (e *wrongLayer) Error() string {
	return fmt.Sprintf("the layer that should be %s is %s when it is unpacked: the image is damaged, or somebody has changed it", e.want, e.is)
}

// unpackAs unpacks a layer under its digest: all of it and the right one, or nothing.
func (s Store) unpackAs(blob io.Reader, want digest.Digest) error {
	if exists(s.layerPath(want)) {
		return s.isLayer(blob, want)
	}
	build, err := os.MkdirTemp(s.path("images/partial"), "layer-*")
	if err != nil {
		return err
	}
	sum, err := layer.Unpack(blob, build, s.layerLimits().check)
	if err == nil && sum.DiffID != want {
		err = &wrongLayer{sum.DiffID, want}
	}
	if err == nil {
		return s.keepLayer(build, want)
	}
	return errors.Join(err, s.dropLayer(build))
}

// isLayer compares a blob with a layer that is in the store already.
func (s Store) isLayer(blob io.Reader, want digest.Digest) error {
	sum, err := layer.SumOf(blob, s.layerLimits().check)
	if err == nil && sum.DiffID != want {
		err = &wrongLayer{sum.DiffID, want}
	}
	return err
}

// compressLayer makes the compressed blob of a layer, or finds it made before.
func (s Store) compressLayer(diffID digest.Digest) (ocispec.Descriptor, error) {
	note := s.layerPath(diffID) + ".gzip" // which blob that is
	var d ocispec.Descriptor
	if err := state.ReadJSON(note, &d); err == nil && exists(s.blobPath(d.Digest)) {
		return d, nil
	}
	source, err := s.layerTar(diffID)
	if err != nil {
		return d, err
	}
	defer source.Close()
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return d, err
	}
	hash := digest.SHA256.Digester()
	out := layer.NewGzipWriter(io.MultiWriter(file, hash.Hash()))
	_, err = io.Copy(out, source)
	err = errors.Join(err, out.Close())
	size, errSeek := file.Seek(0, io.SeekCurrent)
	d = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: hash.Digest(), Size: size}
	if err := s.keepBlob(file, d.Digest, errors.Join(err, errSeek)); err != nil {
		return d, err
	}
	return d, s.writeNote(note, d)
}

// layerTar is the uncompressed tar of a layer: the blob, if there is one, or packed anew.
func (s Store) layerTar(diffID digest.Digest) (io.ReadCloser, error) {
	if file, err := os.Open(s.blobPath(diffID)); err == nil {
		return file, nil
	}
	read, write := io.Pipe()
	go func() {
		packed, err := packLayer(write, s.layerPath(diffID), s.layerPath(diffID)+layer.OwnersSuffix)
		if err == nil && packed.DiffID != diffID {
			err = &wrongLayer{packed.DiffID, diffID}
		}
		write.CloseWithError(err)
	}()
	return read, nil
}

// materialize makes the blob of a layer that is only here unpacked.
func (s Store) materialize(d digest.Digest) error {
	if exists(s.blobPath(d)) || !exists(s.layerPath(d)) {
		return nil
	}
	file, err := state.Create(s.path("images/partial"))
	if err != nil {
		return err
	}
	packed, err := packLayer(file, s.layerPath(d), s.layerPath(d)+layer.OwnersSuffix)
	if err == nil && packed.DiffID != d {
		err = &wrongLayer{packed.DiffID, d}
	}
	return s.keepBlob(file, d, err)
}
