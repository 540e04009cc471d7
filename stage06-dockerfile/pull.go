// pull and push bring images from and to a registry: which requests these are, is in
// registry.go, and --explain tells them. Blobs go side by side, a layer is unpacked while it
// comes, and what a broken pull has got is used by the next.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/registry"
)

// atOnce is how many blobs go at the same time.
const atOnce = 3

// pull gets an image, and all of it that is not here yet.
func (s Store) pull(ctx context.Context, ref registry.Reference, platform ocispec.Platform, remote Remote, show *progress) (*Image, error) {
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	client, err := remote.dial(ref.Host)
	if err != nil {
		return nil, err
	}
	desc, data, err := manifestFor(ctx, client, ref, platform)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", desc.Digest, err)
	}
	config, err := s.pullConfig(ctx, client, ref.Repository, m)
	if err != nil {
		return nil, err
	}
	manifest, err := s.putManifest(desc, data, m)
	if err == nil && !s.isHere(manifest) {
		err = s.pullLayers(ctx, client, ref.Repository, m.Layers, config.RootFS.DiffIDs, show)
	}
	if err == nil {
		err = s.tag(manifest, ref.String())
	}
	if err != nil {
		return nil, err
	}
	image, err := s.readImage(manifest)
	if err == nil {
		image.Origin = desc.Digest
	}
	return image, err
}

// isHere tells whether an image has a name or had one, and all of it is here: then its layers
// were held against its configuration before.
func (s Store) isHere(manifest ocispec.Descriptor) bool {
	index, err := s.readIndex()
	if err != nil || !slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == manifest.Digest }) {
		return false
	}
	image, err := s.readImage(manifest)
	if err == nil {
		_, err = s.dirs(image)
	}
	return err == nil && !slices.ContainsFunc(image.Blobs, func(d ocispec.Descriptor) bool { return !exists(s.blobPath(d.Digest)) })
}

// pullLayers gets the layers of an image, some at a time. The first error ends them all.
func (s Store) pullLayers(ctx context.Context, client *registry.Client, repo string, blobs []ocispec.Descriptor, diffIDs []digest.Digest, show *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return together(atOnce, len(blobs), func(i int) error {
		err := s.pullLayer(ctx, client, repo, blobs[i], diffIDs[i], show)
		if err != nil {
			cancel(err)
		}
		return cmp.Or(context.Cause(ctx), err)
	})
}

// manifestFor gets the manifest of an image for a platform: an index lists one for each.
func manifestFor(ctx context.Context, client *registry.Client, ref registry.Reference, platform ocispec.Platform) (ocispec.Descriptor, []byte, error) {
	desc, data, err := client.Manifest(ctx, ref)
	if err != nil || !strings.Contains(desc.MediaType, "index") && !strings.Contains(desc.MediaType, "list") {
		return desc, data, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return desc, nil, fmt.Errorf("the index %s: %w", desc.Digest, err)
	}
	one, err := choose(index, platform)
	if err != nil {
		return desc, nil, err
	}
	ref.Digest = one.Digest
	desc, data, err = client.Manifest(ctx, ref)
	if err == nil && (strings.Contains(desc.MediaType, "index") || strings.Contains(desc.MediaType, "list")) {
		err = fmt.Errorf("the manifest %s for %s is an index again", one.Digest, platformText(platform))
	}
	return desc, data, err
}

// choose finds the entry of an index for a platform.
func choose(index ocispec.Index, platform ocispec.Platform) (ocispec.Descriptor, error) {
	var there []string
	for _, d := range index.Manifests {
		p := d.Platform
		if p == nil || p.OS == "unknown" {
			continue // what was told of another entry, such as how it was built
		}
		if p.OS == platform.OS && p.Architecture == platform.Architecture && (platform.Variant == "" || p.Variant == platform.Variant) {
			return d, nil
		}
		there = append(there, platformText(*p))
	}
	return ocispec.Descriptor{}, fmt.Errorf("there is none for %s; there are %s", platformText(platform), cmp.Or(strings.Join(there, ", "), "none that name a platform"))
}

func platformText(p ocispec.Platform) string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// pullConfig gets the configuration, which says what the layers have to be.
func (s Store) pullConfig(ctx context.Context, client *registry.Client, repo string, m ocispec.Manifest) (ImageConfig, error) {
	var config ImageConfig
	if m.Config.Size > registry.MaxDocument {
		return config, fmt.Errorf("its configuration has %s, and may have %s", units.FormatSize(m.Config.Size), units.FormatSize(registry.MaxDocument))
	}
	if err := registry.CheckDigest(m.Config.Digest); err != nil {
		return config, about("read", "the manifest", err)
	}
	if !exists(s.blobPath(m.Config.Digest)) {
		blob, err := client.Blob(ctx, repo, m.Config, nil)
		if err != nil {
			return config, err
		}
		data, err := io.ReadAll(blob)
		if err = errors.Join(err, blob.Close()); err != nil {
			return config, err
		}
		if _, err := s.putBlob(m.Config.MediaType, data); err != nil {
			return config, err
		}
	}
	if err := s.readObject(m.Config.Digest, &config); err != nil {
		return config, err
	}
	if n := len(config.RootFS.DiffIDs); n != len(m.Layers) {
		return config, fmt.Errorf("its manifest has %d layers, and its configuration names %d: it is no image to run", len(m.Layers), n)
	}
	for _, diffID := range config.RootFS.DiffIDs {
		if err := registry.CheckDigest(diffID); err != nil {
			return config, about("read", "the configuration", err)
		}
	}
	return config, nil
}

// putManifest keeps a manifest as it is; one in Docker's notation is written anew in OCI's,
// which is all that other tools look for in a layout. What it names stays the same.
func (s Store) putManifest(desc ocispec.Descriptor, data []byte, m ocispec.Manifest) (ocispec.Descriptor, error) {
	if desc.MediaType == ocispec.MediaTypeImageManifest {
		return s.putBlob(desc.MediaType, data)
	}
	m.MediaType, m.Config.MediaType = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig
	for i, layer := range m.Layers {
		switch {
		case strings.HasSuffix(layer.MediaType, "gzip"):
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayerGzip
		case strings.HasSuffix(layer.MediaType, "zstd"):
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayerZstd
		default:
			m.Layers[i].MediaType = ocispec.MediaTypeImageLayer
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return desc, err
	}
	return s.putBlob(m.MediaType, data)
}

// pullLayer gets a layer and unpacks it meanwhile. The file that it is written to is its
// lock too: who comes later waits, and finds the layer there.
func (s Store) pullLayer(ctx context.Context, client *registry.Client, repo string, blob ocispec.Descriptor, diffID digest.Digest, show *progress) error {
	if err := registry.CheckDigest(blob.Digest); err != nil {
		return about("read", "the manifest", err)
	}
	label := short(blob.Digest)
	name := s.path("images/partial", blob.Digest.Encoded())
	part, err := state.Lock(ctx, name, state.Exclusive)
	if err != nil {
		return err
	}
	defer part.Close()
	if file, err := os.Open(s.blobPath(blob.Digest)); err == nil {
		show.say(label, "Already exists")
		return errors.Join(s.unpackAs(file, diffID), file.Close(), os.Remove(part.Name()))
	}
	download, err := client.Blob(ctx, repo, blob, func(n int64) { show.at(label, n, blob.Size) })
	if err != nil {
		return err
	}
	had, err := download.Resume(part)
	if err != nil {
		return errors.Join(err, download.Close())
	}
	if _, err := part.Seek(had, io.SeekStart); err != nil {
		return err
	}
	from := io.MultiReader(io.NewSectionReader(part, 0, had), io.TeeReader(download, part))
	err = s.unpackAs(from, diffID)
	if err == nil {
		_, err = io.Copy(io.Discard, from) // what follows the last entry is of the blob too
	}
	if err = errors.Join(err, download.Close()); err != nil {
		if download.IsComplete() || download.Err() == nil && ctx.Err() == nil {
			err = errors.Join(err, os.Remove(part.Name())) // the connection was good, and what came was not
		}
		return err
	}
	show.say(label, "Pull complete")
	return s.keepPart(part, blob.Digest)
}

// keepPart gives a blob that has come its name. It is not one of state.Create's: until then its
// name is its digest, so that a download that was broken off goes on.
func (s Store) keepPart(part *os.File, d digest.Digest) error {
	if err := errors.Join(part.Chmod(0o644), part.Sync()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), s.blobPath(d)); err != nil {
		return err
	}
	return state.SyncDir(filepath.Dir(s.blobPath(d)))
}

// together does n things, some at a time. The first error ends it.
func together(most, n int, do func(i int) error) error {
	var all sync.WaitGroup
	places, failed := make(chan struct{}, most), make(chan error, n)
	for i := range n {
		places <- struct{}{}
		if len(failed) > 0 {
			break
		}
		all.Go(func() {
			if err := do(i); err != nil {
				failed <- err
			}
			<-places
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// push sends an image: its blobs, those first that are not compressed yet, and then the
// manifest that names them.
func (s Store) push(ctx context.Context, ref registry.Reference, remote Remote, show *progress) (ocispec.Descriptor, error) {
	var manifest ocispec.Descriptor
	done, err := s.using()
	if err != nil {
		return manifest, err
	}
	defer done()
	image, err := s.image(ref.String())
	if err != nil {
		return manifest, err
	}
	if image, err = s.compressed(image, ref.String(), show); err != nil {
		return manifest, err
	}
	client, err := remote.dial(ref.Host)
	if err != nil {
		return manifest, err
	}
	config, err := s.readBlob(image.ID)
	if err != nil {
		return manifest, err
	}
	blobs := append([]ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageConfig, Digest: image.ID, Size: int64(len(config))}}, image.Blobs...)
	err = together(atOnce, len(blobs), func(i int) error { return s.pushBlob(ctx, client, ref, image, blobs[i], show) })
	if err != nil {
		return manifest, err
	}
	data, err := s.readBlob(image.Manifest.Digest)
	if err != nil {
		return manifest, err
	}
	return image.Manifest, client.PutManifest(ctx, ref, image.Manifest.MediaType, data)
}

func (s Store) pushBlob(ctx context.Context, client *registry.Client, ref registry.Reference, image *Image, blob ocispec.Descriptor, show *progress) error {
	file, err := os.Open(s.blobPath(blob.Digest))
	if err != nil {
		return fmt.Errorf("the blob %s: %w; pull or load its image again", blob.Digest, err)
	}
	defer file.Close()
	label := short(blob.Digest)
	how, err := client.Push(ctx, ref.Repository, blob, file, s.otherRepository(image, ref), func(n int64) { show.at(label, n, blob.Size) })
	if err != nil {
		return err
	}
	show.say(label, map[registry.Outcome]string{
		registry.Exists:  "Layer already exists",
		registry.Mounted: "Mounted from another repository",
		registry.Pushed:  "Pushed",
	}[how])
	return nil
}

// otherRepository is another repository of the same registry that may have the blobs.
func (s Store) otherRepository(image *Image, ref registry.Reference) string {
	index, err := s.readIndex()
	if err != nil {
		return ""
	}
	for _, d := range index.Manifests {
		other, err := registry.ParseReference(nameOf(d))
		if err == nil && d.Digest == image.Manifest.Digest && other.Host == ref.Host && other.Repository != ref.Repository {
			return other.Repository
		}
	}
	return ""
}

// compressed makes the layers of an image that are not compressed so: the same layers, and
// so the same id, under a new manifest, which takes the name and the notes.
func (s Store) compressed(image *Image, name string, show *progress) (*Image, error) {
	blobs, changed := make([]ocispec.Descriptor, len(image.Blobs)), false
	for i, blob := range image.Blobs {
		diffID := image.Config.RootFS.DiffIDs[i]
		if blob.Digest != diffID {
			blobs[i] = blob
			continue
		}
		show.say(short(diffID), "Compressing")
		d, err := s.compressLayer(diffID)
		if err != nil {
			return nil, fmt.Errorf("compress the layer %s: %w", short(diffID), err)
		}
		blobs[i], changed = d, true
	}
	if !changed {
		return image, nil
	}
	config, err := s.readBlob(image.ID)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := s.readObject(image.Manifest.Digest, &manifest); err != nil {
		return nil, err
	}
	return s.putNoted(config, blobs, name, manifest.Annotations)
}
