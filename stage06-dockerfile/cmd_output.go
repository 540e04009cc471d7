// The flag --output of box build: what is written in place of an image in the store.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/archive"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/output"
)

// OutputOptions is the flag for where the result goes.
type OutputOptions struct {
	Output []string `short:"o" help:"Write the result there and not to the store: DIR for its files, - for a tar archive of them, or type=local|tar|oci|docker|image|cacheonly,dest=PATH." placeholder:"SPEC" sep:"none"`
}

// parseOutputs parses the flag, and looks at what is there.
func (b *builder) parseOutputs() (err error) {
	if b.outputs, err = output.Parse(b.Output); err != nil || b.Check {
		return err
	}
	b.RewriteTimestamp = b.RewriteTimestamp || b.outputs.RewriteTimestamp()
	if b.Iidfile != "" && b.outputs.WithoutImage() {
		return errors.New("--iidfile: no --output is an image; add --output type=image")
	}
	return b.outputs.Check()
}

// output writes a stage to where the flag says. The image is nil if none was made.
func (b *builder) output(s *stageBuild) (image *oci.Image, err error) {
	if len(b.outputs) == 0 {
		return b.finish(s, b.Tag)
	}
	for _, o := range b.outputs {
		made, what, err := b.outputTo(s, o)
		switch {
		case b.ctx.Err() != nil:
			return nil, errors.New("the build was interrupted")
		case err != nil:
			return nil, fmt.Errorf("output to %s: %w", cmp.Or(o.Place(), "the store"), err)
		case o.Place() != "" && (b.Explain || !b.Quiet):
			fmt.Fprintf(os.Stderr, "wrote %s (%s)%s\n", o.Place(), o.Type, what)
		}
		image = cmp.Or(made, image)
	}
	return image, nil
}

// outputTo writes one output. what says how much it is.
func (b *builder) outputTo(s *stageBuild, o output.Output) (image *oci.Image, what string, err error) {
	names := o.Names(b.Tag)
	layers, err := s.dirs()
	tree := func(w io.Writer) error { return output.Write(b.ctx, w, b.epoch, layers) }
	switch {
	case err != nil || o.Type == "cacheonly":
	case o.Type == "image":
		image, err = b.finish(s, names)
	case o.Type == "local":
		what, err = output.Local(o.Dest, tree)
	case o.Type == "tar":
		err = state.Output(o.Dest, state.Durable, func(out *os.File) error { return tree(out) })
	default:
		err = state.Output(o.Dest, state.Durable, func(out *os.File) error {
			layer := func(w *archive.Writer, d digest.Digest) error { return w.Take(b.Store.layers(), d) }
			image, err = output.Image(b.ctx, out, s.config, s.blobs, names, b.notes, layer)
			return err
		})
	}
	return image, what, err
}

// printID prints the image's id, if there is one, and standard output has no archive. As in Docker,
// --tag is for images alone.
func (b *builder) printID(image *oci.Image) (err error) {
	for _, name := range b.Tag {
		if b.outputs.WithoutImage() {
			fmt.Fprintf(os.Stderr, "warning: --tag %s: no --output is an image; add --output type=image\n", name)
		}
	}
	if image != nil && !b.outputs.ToStdout() {
		_, err = fmt.Println(image.ID)
	}
	return err
}
