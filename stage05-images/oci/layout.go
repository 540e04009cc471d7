// Package oci keeps images in a directory that other tools can read: an image layout (the OCI Image
// Format Specification, image-layout.md).
//
// An image is a manifest, a configuration and layers, each a blob that is kept under the digest of
// its bytes (blobs/sha256/HEX). The manifest names the configuration and the layers. The
// configuration says how to run the image, and names the layers once more, by the digests of their
// uncompressed tars; its own digest is the image's id. index.json names manifests, each with the
// name of the image and with where a registry has it.
//
// Several processes may use one layout. A blob is written under a temporary name first, and
// index.json is replaced under a lock. The package removes no blobs: its user knows what else
// refers to them.
//
// The lesson reads Image, Layout.Find, Layout.Read, which compares a blob with its name each time,
// Layout.Put and Layout.Edit.
package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// Layout is an image layout.
type Layout struct {
	Dir  string
	Warn func(error) // gets the errors about what is left out, and the command goes on

	// Sync brings to the disk what images have beside the layout, before one gets a name. It may
	// be nil.
	Sync func() error
}

// IsMade reports whether the file is there that other tools know a layout by.
func (l Layout) IsMade() bool {
	var known ocispec.ImageLayout
	err := state.ReadJSON(l.versionFile(), &known)
	return err == nil && known.Version == ocispec.ImageLayoutVersion
}

// Make makes the files of a layout that are missing, once, under the lock. The index comes first,
// so that where oci-layout is, a missing index was lost.
func (l Layout) Make() error {
	return l.Locked(func() error {
		if !exists(l.indexFile()) {
			if err := state.WriteJSON(l.indexFile(), emptyIndex(), state.Durable); err != nil {
				return err
			}
		}
		if l.IsMade() {
			return nil
		}
		version := ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}
		if err := state.WriteJSON(l.versionFile(), version, state.Durable); err != nil {
			l.Warn(err) // only other tools read it
		}
		return nil
	})
}

func (l Layout) versionFile() string { return filepath.Join(l.Dir, ocispec.ImageLayoutFile) }

func (l Layout) indexFile() string { return filepath.Join(l.Dir, ocispec.ImageIndexFile) }

// Locked calls do while this process alone changes the index.
func (l Layout) Locked(do func() error) error {
	file, err := state.Lock(context.Background(), l.LockFile(), state.Exclusive)
	if err != nil {
		return err
	}
	return errors.Join(do(), file.Close())
}

// LockFile is the file whose lock Locked holds.
func (l Layout) LockFile() string { return filepath.Join(l.Dir, "index.lock") }

// Path is the file of a blob, which need not be there.
func (l Layout) Path(d digest.Digest) string {
	return filepath.Join(l.Dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// Has reports whether a blob is there.
func (l Layout) Has(d digest.Digest) bool { return exists(l.Path(d)) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Put keeps a small blob.
func (l Layout) Put(mediaType string, data []byte) (ocispec.Descriptor, error) {
	d := descriptorOf(mediaType, data)
	if known, err := l.Read(d.Digest); err == nil && bytes.Equal(known, data) {
		return d, nil // one that is damaged is written once more
	}
	file, err := l.Create()
	if err != nil {
		return d, err
	}
	_, err = file.Write(data)
	return d, l.Keep(file, d.Digest, err)
}

// Create begins a blob whose digest is known later. Its file is in partial/, which is box's own.
func (l Layout) Create() (*state.Pending, error) {
	return state.Create(filepath.Join(l.Dir, "partial"))
}

// Keep gives a file that was written its name. After an error, err, it discards the file.
func (l Layout) Keep(file *state.Pending, d digest.Digest, err error) error {
	if err == nil {
		err = file.Commit(l.Path(d), 0o644, state.Durable)
	}
	if err != nil && d != "" {
		err = fmt.Errorf("write the blob %q: %w", d, err)
	}
	return errors.Join(err, file.Discard())
}

// KeepPart gives a blob that was downloaded its name. It is not a file of Create: until it is complete
// it is named by its digest, so that an interrupted download can be resumed.
func (l Layout) KeepPart(part *os.File, d digest.Digest) error {
	if err := errors.Join(part.Chmod(0o644), part.Sync()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), l.Path(d)); err != nil {
		return err
	}
	return state.SyncDir(filepath.Dir(l.Path(d)))
}

// Read reads a small blob, and checks its digest.
func (l Layout) Read(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("the digest %q: %w", d, err)
	}
	info, err := os.Lstat(l.Path(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the blob %s: %w; pull or load its image again", d, err)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, l.Damaged(d)
	case info.Size() > registry.MaxDocument:
		return nil, fmt.Errorf("blob %s is %s; an image description is at most %s",
			d, units.FormatSize(info.Size()), units.FormatSize(registry.MaxDocument))
	}
	data, err := rawfile.Read(l.Path(d))
	if err != nil {
		return nil, err
	}
	if d.Algorithm().FromBytes(data) != d {
		return nil, l.Damaged(d)
	}
	return data, nil
}

// ReadJSON reads a small blob that is JSON.
func (l Layout) ReadJSON(d digest.Digest, value any) error {
	data, err := l.Read(d)
	if err == nil {
		err = state.Unmarshal(data, value)
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", d, err)
	}
	return nil
}

// Check reads a blob of any size, and compares it with its digest. The bytes go to the writers.
func (l Layout) Check(d digest.Digest, also ...io.Writer) error {
	file, err := os.Open(l.Path(d))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := d.Verifier()
	_, err = io.Copy(io.MultiWriter(append(also, sum)...), file)
	if err == nil && !sum.Verified() {
		err = l.Damaged(d)
	}
	return err
}

// Damaged is the error about a blob whose bytes are not those of its digest.
func (l Layout) Damaged(d digest.Digest) error {
	return fmt.Errorf("the blob %s is damaged: remove %s, and pull or load its image again",
		d, l.Path(d))
}

// Names are the names of all images, with and without the tag latest, and the short ids of those that
// have none. Only later stages use it.
func (l Layout) Names() (names []string) {
	all, err := l.Images()
	if err != nil {
		return nil
	}
	for _, image := range all {
		for _, name := range image.Familiar() {
			if name[1] == "<none>" {
				names = append(names, image.ID.Short())
			} else if names = append(names, name[0]+":"+name[1]); name[1] == "latest" {
				names = append(names, name[0])
			}
		}
	}
	return names
}
