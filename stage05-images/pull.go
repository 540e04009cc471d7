// pull and push bring images from and to a registry. The requests are in the package registry, and
// --explain shows them. Blobs are transferred side by side; a layer is unpacked while it arrives,
// and the part that an interrupted pull has left is used by the next one. Store.pull gets the
// manifest; transfer.pullLayer hands each layer to Store.unpackAs (layers.go).

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/push"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
)

// atOnce is how many blobs are transferred at the same time.
const atOnce = 3

// transfer is a pull from a repository.
type transfer struct {
	store    Store
	registry *registry.Client
	ref      registry.Reference
	show     *progress.Display
	platform string // as it was asked for, or ""
}

// pull gets an image, and all of it that is not here yet.
func (s Store) pull(
	ctx context.Context, ref registry.Reference, platform string, remote registrycli.Remote,
	show *progress.Display,
) (*oci.Image, error) {
	want, err := registry.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	client, err := remote.Dial(ref.Host)
	if err != nil {
		return nil, err
	}
	t := &transfer{s, client, ref, show, platform}
	desc, data, top, err := client.ManifestFor(ctx, ref, want)
	if err != nil {
		return nil, err
	}
	manifest, err := t.pull(ctx, desc, data, top.Digest)
	if err != nil {
		return nil, err
	}
	return s.layout().Image(manifest)
}

// pull gets the configuration and the layers of a manifest, then gives it its name. In the registry
// it is found under the digest origin: its own, or that of an index.
func (t *transfer) pull(
	ctx context.Context, desc ocispec.Descriptor, data []byte, origin digest.Digest,
) (ocispec.Descriptor, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return desc, fmt.Errorf("the manifest %s: %w", desc.Digest, err)
	}
	config, err := t.config(ctx, m)
	if err == nil {
		err = oci.CheckPlatform(config.Platform, t.platform, complain)
	}
	if err != nil {
		return desc, err
	}
	manifest, err := t.store.layout().PutManifest(desc, data, m)
	manifest = oci.WithOrigin(manifest, t.ref, origin)
	if err == nil && !t.store.layers().IsHere(manifest) {
		err = t.pullLayers(ctx, m.Layers, config.RootFS.DiffIDs)
	}
	if err == nil {
		// This makes the directories that layers lack.
		_, err = t.store.layers().Stack(&oci.Image{Config: config})
	}
	if err == nil {
		err = t.store.layout().Tag(manifest, t.ref.String())
	}
	return manifest, err
}

// config gets the configuration, which says what the layers have to be.
func (t *transfer) config(ctx context.Context, m ocispec.Manifest) (oci.Config, error) {
	var config oci.Config
	if m.Config.Size > registry.MaxDocument {
		return config, fmt.Errorf("its configuration is %s; the maximum is %s",
			units.FormatSize(m.Config.Size), units.FormatSize(registry.MaxDocument))
	}
	if err := registry.CheckDigest(m.Config.Digest); err != nil {
		return config, about("read", "the manifest", err)
	}
	if !t.store.layout().Has(m.Config.Digest) {
		if err := t.document(ctx, m.Config); err != nil {
			return config, err
		}
	}
	if err := t.store.layout().ReadJSON(m.Config.Digest, &config); err != nil {
		return config, err
	}
	return config, config.CheckLayers(len(m.Layers))
}

// document gets a small blob.
func (t *transfer) document(ctx context.Context, d ocispec.Descriptor) error {
	data, err := t.registry.Document(ctx, t.ref.Repository, d)
	if err != nil {
		return err
	}
	_, err = t.store.layout().Put(d.MediaType, data)
	return err
}

// pullLayers gets the layers of an image, some at a time. The first error ends them all.
func (t *transfer) pullLayers(
	ctx context.Context, blobs []ocispec.Descriptor, diffIDs []digest.Digest,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range blobs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			err := t.pullLayer(ctx, blobs[i], diffIDs[i])
			return cmp.Or(context.Cause(ctx), err)
		})
	}
	return group.Wait()
}

// pullLayer gets a layer and unpacks it while it arrives. The file that it is written to is also
// its lock: another box waits for it, and then finds the layer there.
func (t *transfer) pullLayer(
	ctx context.Context, blob ocispec.Descriptor, diffID digest.Digest,
) error {
	if err := registry.CheckDigest(blob.Digest); err != nil {
		return about("read", "the manifest", err)
	}
	label := blob.Digest.Short()
	name := t.store.path("images/partial", blob.Digest.Encoded())
	part, err := state.Lock(ctx, name, state.Exclusive)
	if err != nil {
		return err
	}
	defer part.Close()
	if file, err := os.Open(t.store.layout().Path(blob.Digest)); err == nil {
		t.show.Event(label, "Already exists")
		return errors.Join(t.store.unpackAs(file, diffID), file.Close(), os.Remove(part.Name()))
	}
	update := func(n int64) { t.show.Update(label, n, blob.Size) }
	download, err := t.registry.Blob(ctx, t.ref.Repository, blob, update)
	if err != nil {
		return err
	}
	had, err := download.Resume(part)
	if err == nil {
		_, err = part.Seek(had, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, download.Close())
	}
	old := io.NewSectionReader(part, 0, had)
	err = t.unpackAll(io.MultiReader(old, io.TeeReader(download, part)), diffID)
	if err = errors.Join(err, download.Close()); err == nil {
		t.show.Event(label, "Pull complete")
		return t.store.layout().KeepPart(part, blob.Digest)
	}
	if download.IsComplete() || download.Err() == nil && ctx.Err() == nil {
		err = errors.Join(err, os.Remove(part.Name())) // not the connection's fault
	}
	return err
}

// unpackAll unpacks a layer and reads what follows its last entry, which belongs to the blob too.
func (t *transfer) unpackAll(blob io.Reader, diffID digest.Digest) error {
	err := t.store.unpackAs(blob, diffID)
	if err == nil {
		_, err = io.Copy(io.Discard, blob)
	}
	return err
}

// push sends an image: its blobs, compressed first if they are not yet, and then the manifest that
// names them.
func (s Store) push(
	ctx context.Context, ref registry.Reference, remote registrycli.Remote, show *progress.Display,
) (manifest ocispec.Descriptor, err error) {
	done, err := s.using()
	if err != nil {
		return manifest, err
	}
	defer done()
	image, err := s.layout().Find(ref.String())
	if err != nil {
		return manifest, err
	}
	compressing := func(d digest.Digest) { show.Event(d.Short(), "Compressing") }
	if image, err = s.layers().Compressed(image, ref.String(), compressing); err != nil {
		return manifest, err
	}
	client, err := remote.Dial(ref.Host)
	if err != nil {
		return manifest, err
	}
	blobs := push.Sender{Layout: s.layout(), Registry: client, To: ref, Show: show, AtOnce: atOnce}
	if err := blobs.Blobs(ctx, image); err != nil {
		return manifest, err
	}
	data, err := s.layout().Read(image.Manifest.Digest)
	if err != nil {
		return manifest, err
	}
	if err := client.PutManifest(ctx, ref, image.Manifest.MediaType, data); err != nil {
		return manifest, err
	}
	manifest = image.Manifest
	return manifest, s.layout().Tag(oci.WithOrigin(manifest, ref, manifest.Digest), ref.String())
}
