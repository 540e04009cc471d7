// box build: a Dockerfile becomes an image, step by step (the Dockerfile reference). A stage is
// an image in the making; FROM starts from an image or an earlier stage, and each instruction
// (instructions.go) changes the configuration or adds a layer. Layers are made at the end of
// this file; builder.finish writes the image's configuration.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
	"stagebox/stage06-dockerfile/bases"
	"stagebox/stage06-dockerfile/buildcontext"
	"stagebox/stage06-dockerfile/buildflags"
	"stagebox/stage06-dockerfile/cachemount"
	"stagebox/stage06-dockerfile/configure"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/once"
	"stagebox/stage06-dockerfile/output"
	"stagebox/stage06-dockerfile/ui"
	"stagebox/stage06-dockerfile/unchanged"
)

// builder is a build.
type builder struct {
	*buildCmd
	ctx     context.Context
	file    *dockerfile.File
	files   *buildcontext.Context
	args    map[string]string // --build-arg
	globals map[string]string // what FROM may use
	native  map[string]string // variables about the platforms
	want    ocispec.Platform
	secrets map[string]buildflags.Secret
	show    *ui.Steps
	done    once.Map[*dockerfile.Stage, *stageBuild]
	images  once.Map[string, *oci.Image] // so that one name means the same image for all stages

	triggers map[*dockerfile.Stage]int // ONBUILD steps that were counted before the build
	epoch    *time.Time                // SOURCE_DATE_EPOCH: when all steps are made, or nil
	notes    map[string]string         // annotations of the image's manifest
	emptied  cachemount.Emptied        // by --no-cache
	outputs  output.List               // in place of the store

	buildCache
}

// stageBuild is a stage that is being built.
type stageBuild struct {
	*dockerfile.Stage
	b      *builder
	config oci.Config
	blobs  []ocispec.Descriptor
	args   map[string]string // ARGs that were declared

	hasCmd bool // of its own
	shown  *ui.Step
	at     time.Time // when the current step was made

	stageCache
}

// run builds the image of a Dockerfile that was parsed.
func (b *builder) run() (*oci.Image, error) {
	done, err := b.Store.using()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := b.file.FailOnWarnings(b.checks()); err != nil {
		return nil, err
	}
	b.show = ui.NewSteps(os.Stderr, b.Progress, b.Quiet)
	if err := b.openCache(); err != nil {
		return nil, err
	}
	defer b.closeCache()
	image, err := b.build()
	return image, cmp.Or(err, b.Store.layers().Sync()) // after an error too
}

// build builds the target and the stages that it needs, and makes it an image.
func (b *builder) build() (*oci.Image, error) {
	target, err := b.file.Target(b.Target)
	if err != nil {
		return nil, err
	}
	b.show.Total, b.triggers = b.file.Count(target, b.globals, b.onBuild)
	s, err := b.stage(target)
	if err != nil {
		return nil, err
	}
	if err := configure.Labels(&s.config, b.Label); err != nil {
		return nil, err
	}
	if err := s.addCacheNote(); err != nil {
		return nil, err
	}
	return b.output(s)
}

// finish makes a stage an image with names, such as those of --tag.
func (b *builder) finish(s *stageBuild, names []string) (image *oci.Image, err error) {
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		if name != "" {
			ref, err := registry.ParseNewName(name)
			if err != nil {
				return nil, err
			}
			name = ref.String()
		}
		if image, err = b.Store.layout().Write(s.config, s.blobs, name, b.notes); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// uncached reports whether a stage must not use what earlier builds have left.
func (b *builder) uncached(s *stageBuild) bool {
	return b.NoCache || slices.ContainsFunc(b.NoCacheFilter, s.IsCalled)
}

// onBuild returns how many ONBUILD steps an image has. One that is not here yet is not pulled for
// that: its are counted when it is.
func (b *builder) onBuild(image string) int {
	found, err := b.Store.layout().Find(image)
	if err != nil {
		return 0
	}
	return len(found.Config.Config.OnBuild)
}

// stage builds a stage and those that it needs, once.
func (b *builder) stage(stage *dockerfile.Stage) (*stageBuild, error) {
	return b.done.Get(stage, func() (*stageBuild, error) {
		s := &stageBuild{Stage: stage, b: b, args: map[string]string{}}
		if err := b.buildAll(b.file.Needs(stage, b.globals)); err != nil {
			return s, err
		}
		return s, s.build()
	})
}

// built returns a stage that is built already.
func (b *builder) built(stage *dockerfile.Stage) *stageBuild {
	return b.done.Made(stage)
}

// buildAll builds stages, side by side.
func (b *builder) buildAll(stages []*dockerfile.Stage) error {
	var all errgroup.Group
	for _, stage := range stages {
		all.Go(func() error {
			_, err := b.stage(stage)
			return err
		})
	}
	return all.Wait()
}

// build does the steps of a stage: FROM, the triggers of its base, and its instructions.
func (s *stageBuild) build() error {
	if err := s.do(s.From, s.from); err != nil {
		return err
	}
	triggers := s.config.Config.OnBuild
	s.config.Config.OnBuild = nil
	s.b.show.Grow(len(triggers) - s.b.triggers[s.Stage])
	for _, text := range triggers {
		in, err := s.trigger(text)
		if err != nil {
			return s.From.ErrorAt(s.Base, "%v", err)
		}
		if err := s.do(in, s.instruction); err != nil {
			return err
		}
	}
	for _, in := range s.Steps {
		if err := s.do(in, s.instruction); err != nil {
			return err
		}
	}
	return nil
}

// trigger parses an ONBUILD instruction of the base, and builds the stages that it needs.
func (s *stageBuild) trigger(text string) (*dockerfile.Instruction, error) {
	in, err := dockerfile.ParseTrigger(text, s.b.file.Escape)
	if err != nil {
		return nil, err
	}
	for _, ref := range in.Refs() {
		needed, err := s.b.file.StageFor(in, ref)
		if err == nil && needed != nil && needed.Index >= s.Index {
			err = fmt.Errorf("ONBUILD %s: stage %s is not above this one", text, ref)
		}
		if err == nil && needed != nil {
			_, err = s.b.stage(needed)
		}
		if err != nil {
			return nil, err
		}
	}
	return in, nil
}

// do does one step, and gives an error the step's place in the Dockerfile.
func (s *stageBuild) do(
	in *dockerfile.Instruction, step func(in *dockerfile.Instruction) error,
) error {
	if err := s.b.ctx.Err(); err != nil {
		return errors.New("the build was interrupted")
	}
	s.at, s.shown = time.Now().UTC(), s.b.show.Begin(s.b.file.Label(s.Stage), in.Text)
	if in.Name == "FROM" { // which is not looked up
		s.shown.Announce("")
	}
	err := step(in)
	s.shown.End(err)
	if err == nil {
		return nil
	}
	if place := (*dockerfile.Error)(nil); errors.As(err, &place) {
		return err
	}
	return in.ErrorAt("", "%w", err)
}

// from starts from an earlier stage, an image, or nothing.
func (s *stageBuild) from(in *dockerfile.Instruction) error {
	base, err := s.b.file.BaseOf(s.Stage, s.b.globals)
	if err != nil {
		return err
	}
	if parent := s.b.file.Parent(s.Stage, base); parent != nil {
		p := s.b.built(parent)
		s.startFrom(p)
		s.config, s.blobs, s.args = p.config.Clone(), slices.Clone(p.blobs), maps.Clone(p.args)
		return nil
	}
	if base == "scratch" {
		s.base = s.fromInputs(base, "nothing")
		s.config = bases.Scratch(s.b.want)
		return nil
	}
	platform, err := bases.Platform(s.b.file, in, s.b.globals, s.b.want)
	if err != nil {
		return err
	}
	image, err := s.b.image(base, platform)
	if err != nil {
		return err
	}
	s.base = s.fromInputs(base, image.ID.String())
	s.config, s.blobs = bases.Config(image), slices.Clone(image.Blobs)
	return nil
}

// image returns an image that FROM or --from names, and pulls it if need be.
func (b *builder) image(name string, platform ocispec.Platform) (*oci.Image, error) {
	return b.images.Get(name+" "+registry.FormatPlatform(platform),
		func() (*oci.Image, error) { return b.getImage(name, platform) })
}

// getImage takes an image of the store, or pulls it.
func (b *builder) getImage(name string, platform ocispec.Platform) (*oci.Image, error) {
	pull := "missing"
	if b.Pull {
		pull = "always"
	}
	c := &Container{Store: b.Store}
	c.ImageOptions = ImageOptions{
		Pull: pull, Insecure: b.Insecure, Platform: registry.FormatPlatform(platform),
	}
	here, err := b.Store.layout().Find(name)
	return c.obtain(name, here, err)
}

// dirs returns the layers of the stage, the lowest first.
func (s *stageBuild) dirs() ([]string, error) {
	return s.b.Store.layers().Root(&oci.Image{Config: s.config})
}

// layer makes a layer of the files that write writes; if there are none, no layer.
func (s *stageBuild) layer(in *dockerfile.Instruction, write func(w *copyup.Writer) error) error {
	if s.step.hit != nil {
		return s.reuse(in)
	}
	dirs, err := s.dirs()
	if s.hasLink(in) {
		dirs, err = s.b.Store.layers().Empty()
	}
	if err != nil {
		return err
	}
	build, err := os.MkdirTemp(s.b.Store.path("images/partial"), "layer-*")
	if err != nil {
		return err
	}
	w, err := copyup.New(build, dirs)
	if err == nil {
		err = errors.Join(write(w), w.Close())
	}
	if err != nil {
		return errors.Join(err, s.b.Store.layers().Drop(build))
	}
	return s.adopt(in, build)
}

// hasLink reports whether a COPY or ADD makes the same layer, whatever is below. With --chmod it
// does not, as in BuildKit.
func (s *stageBuild) hasLink(in *dockerfile.Instruction) bool {
	return in.Flag("link") == "true" && in.Flag("chmod") == ""
}

// adopt makes a directory that was filled the stage's next layer. It is moved, not copied, and
// its tar is only hashed: the blob is made when it is pushed or saved.
func (s *stageBuild) adopt(in *dockerfile.Instruction, build string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.b.Store.layers().Drop(build))
		}
	}()
	below, err := s.dirs()
	if err != nil {
		return err
	}
	slices.Reverse(below)
	if err := unchanged.Drop(build, below); err != nil {
		return err
	}
	names, err := os.ReadDir(build)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		s.history(in, true)
		return s.b.Store.layers().Drop(build)
	}
	packed, err := s.pack(build, below)
	if err != nil {
		return err
	}
	if err := s.b.Store.layers().Keep(build, packed.DiffID); err != nil {
		return err
	}
	s.add(in, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageLayer, Digest: packed.DiffID, Size: packed.Bytes,
	})
	return nil
}

// pack hashes the tar of a layer, once its owners and times are as they are to be.
func (s *stageBuild) pack(build string, below []string) (layer.Sum, error) {
	if err := layer.InheritOwners(build, layer.OwnersOf(below)...); err != nil {
		return layer.Sum{}, err
	}
	if s.b.RewriteTimestamp {
		if err := layer.LowerTimesInside(build, *s.b.epoch); err != nil {
			return layer.Sum{}, err
		}
	}
	return layer.PackInside(io.Discard, build, build+layer.OwnersSuffix)
}

// add adds a layer.
func (s *stageBuild) add(in *dockerfile.Instruction, layer ocispec.Descriptor) {
	s.config.RootFS.DiffIDs = append(s.config.RootFS.DiffIDs, layer.Digest)
	s.blobs = append(s.blobs, layer)
	s.history(in, false)
}
