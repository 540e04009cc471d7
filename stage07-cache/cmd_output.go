// The flag --output of box build: what is written in place of an image in the store.

package main

import (
	"errors"

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
	if b.outputs, err = output.Parse(b.Output); err != nil || b.Options.Check {
		return err
	}
	b.RewriteTimestamp = b.RewriteTimestamp || b.outputs.RewriteTimestamp()
	if b.Iidfile != "" && b.outputs.WithoutImage() {
		return errors.New("--iidfile: no --output is an image; add --output type=image")
	}
	return b.outputs.Check()
}

// output writes a stage to where the flag says. The image is nil if none was made.
func (b *builder) output(s *stageBuild) (*oci.Image, error) {
	if len(b.outputs) == 0 {
		return b.finish(s, b.Tag)
	}
	return b.outputs.Write(b.ctx, output.Result{
		Config: s.config, Blobs: s.blobs, Layers: s.dirs,
		Tags: b.Tag, Notes: b.notes, Epoch: b.epoch, Quiet: b.Quiet && !b.Explain,
		Keep: func(names []string) (*oci.Image, error) { return b.finish(s, names) },
		Blob: func(w *archive.Writer, d digest.Digest) error { return w.Take(b.Store.layers(), d) },
	})
}
