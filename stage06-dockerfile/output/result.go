package output

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/archive"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

// Result is what a build has made, and what its outputs need to know of it.
type Result struct {
	Config oci.Config
	Blobs  []ocispec.Descriptor     // of its layers
	Layers func() ([]string, error) // their directories, the lowest first
	Tags   []string                 // --tag
	Notes  map[string]string        // annotations of the manifest
	Epoch  *time.Time               // SOURCE_DATE_EPOCH, or nil
	Quiet  bool                     // do not say what was written

	Keep func(names []string) (*oci.Image, error)       // makes it an image of the store
	Blob func(w *archive.Writer, d digest.Digest) error // writes the blob of a layer
}

// writeFiles writes a result to all outputs, and says on standard error what was written. The image is nil
// if none of them is one.
func (list List) Write(ctx context.Context, r Result) (image *oci.Image, err error) {
	for _, o := range list {
		made, what, err := o.write(ctx, r)
		switch {
		case ctx.Err() != nil:
			return nil, errors.New("the build was interrupted")
		case err != nil:
			return nil, fmt.Errorf("output to %s: %w", cmp.Or(o.Place(), "the store"), err)
		case o.Place() != "" && !r.Quiet:
			fmt.Fprintf(os.Stderr, "wrote %s (%s)%s\n", o.Place(), o.Type, what)
		}
		image = cmp.Or(made, image)
	}
	return image, nil
}

// write writes one output. what says how much it is.
func (o Output) write(ctx context.Context, r Result) (image *oci.Image, what string, err error) {
	names := o.Names(r.Tags)
	layers, err := r.Layers()
	tree := func(w io.Writer) error { return writeFiles(ctx, w, r.Epoch, layers) }
	switch {
	case err != nil || o.Type == "cacheonly":
	case o.Type == "image":
		image, err = r.Keep(names)
	case o.Type == "local":
		what, err = writeLocal(o.Dest, tree)
	case o.Type == "tar":
		err = state.Output(o.Dest, state.Durable, func(out *os.File) error { return tree(out) })
	default:
		err = state.Output(o.Dest, state.Durable, func(out *os.File) error {
			image, err = writeArchive(ctx, out, r.Config, r.Blobs, names, r.Notes, r.Blob)
			return err
		})
	}
	return image, what, err
}

// PrintID prints the id of an image, if there is one, and standard output has no archive. As in Docker,
// --tag is for images alone.
func (list List) PrintID(image *oci.Image, tags []string) (err error) {
	for _, name := range tags {
		if list.WithoutImage() {
			fmt.Fprintf(os.Stderr, "warning: --tag %s: no --output is an image; add --output type=image\n", name)
		}
	}
	if image != nil && !list.ToStdout() {
		_, err = fmt.Println(image.ID)
	}
	return err
}
