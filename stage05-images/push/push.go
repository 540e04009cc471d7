// Package push sends the blobs of an image to a registry, several at the same time. A blob that
// the registry has already is not sent; one that it has in another repository is mounted from
// there. A push that was interrupted is therefore resumed by pushing again: only the blobs that
// had not arrived in full are sent, from their beginning. The requests are in package registry.
//
// The lesson reads Sender.blob.
package push

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
)

// Sender sends blobs of a layout to a repository of a registry.
type Sender struct {
	Layout   oci.Layout
	Registry *registry.Client
	To       registry.Reference
	Show     *progress.Display
	AtOnce   int // how many blobs are sent at the same time
}

// Blobs sends the configuration and the layers of an image, some at a time. After an error no other
// is begun, and those that are on their way go on.
func (s *Sender) Blobs(ctx context.Context, image *oci.Image) error {
	config, err := s.Layout.Read(image.ID)
	if err != nil {
		return err
	}
	blobs := append([]ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageConfig,
		Digest: image.ID, Size: int64(len(config))}}, image.Blobs...)
	from := s.Layout.OtherRepository(image.Manifest.Digest, s.To)
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(s.AtOnce)
	for _, blob := range blobs {
		group.Go(func() error {
			if failed.Err() != nil {
				return context.Cause(failed)
			}
			return s.blob(ctx, blob, from)
		})
	}
	return group.Wait()
}

// blob sends one. from is another repository of the registry that may have it, or "".
func (s *Sender) blob(ctx context.Context, blob ocispec.Descriptor, from string) error {
	file, err := os.Open(s.Layout.Path(blob.Digest))
	if err != nil {
		return fmt.Errorf("the blob %s: %w; pull or load its image again", blob.Digest, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != blob.Size {
		return cmp.Or(err, s.Layout.Damaged(blob.Digest))
	}
	label := blob.Digest.Short()
	update := func(n int64) { s.Show.Update(label, n, blob.Size) }
	how, err := s.Registry.Push(ctx, s.To.Repository, blob, file, from, update)
	if err != nil { // a registry refuses a damaged blob, and does not say which
		return cmp.Or(s.Layout.Check(blob.Digest), err)
	}
	s.Show.Event(label, map[registry.Outcome]string{
		registry.Exists:  "Layer already exists",
		registry.Mounted: "Mounted from another repository",
		registry.Pushed:  "Pushed",
	}[how])
	return nil
}
