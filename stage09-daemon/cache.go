// The build cache: a step that has not changed is not run. Everything that a step depends on is
// written down as a list, its inputs: the step before it, its text with the variables replaced,
// and depending on the instruction its files, variables or network. The digest of that list is
// the step's key; under it, cache/ remembers when the step was made, and its layer. The result of
// the step before is an input, so everything after the first miss misses too.

package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/ui"
	"stagebox/stage07-cache/buildpicture"
	"stagebox/stage07-cache/inputs"
	"stagebox/stage07-cache/stepstore"
	"stagebox/stage07-cache/urlcache"
)

// buildCache is the cache as a build uses it.
type buildCache struct {
	cache     *stepstore.Cache
	sums      *checksums
	urls      *urlcache.Cache
	cacheOnce sync.Once // prints that the cache is broken
}

// stageCache is the cache as a stage uses it.
type stageCache struct {
	chain  string                      // the key and the layer of the step before
	base   []inputs.Input              // of FROM
	slots  int                         // steps so far
	steps  map[string]*stepstore.Entry // so far, by key
	step   *cacheStep                  // the current one
	missed int                         // the number of the first step that was not in the cache

	pictureSteps []buildpicture.Step
}

// startFrom continues where an earlier stage ended.
func (s *stageBuild) startFrom(p *stageBuild) {
	s.chain, s.base, s.steps = p.chain, p.base, maps.Clone(p.steps)
	s.missed = p.missed
}

// cacheStep is a step that is looked up, and then made or taken from the cache.
type cacheStep struct {
	key    string
	slot   string // the place of the step in its Dockerfile, a file
	inputs []inputs.Input
	why    string // the reason of a miss
	hit    *stepstore.Entry
	lock   *os.File
	racy   bool // its files have changed meanwhile: it must not be remembered
}

// keyOf returns the digest of inputs.
func keyOf(inputs []inputs.Input) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", stepstore.Version)
	for _, in := range inputs {
		fmt.Fprintf(h, "%d %d %s %s\n", len(in.Name), len(in.Value), in.Name, in.Value)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// inputs returns everything that a step depends on. This is the whole rule.
func (s *stageBuild) inputs(in *dockerfile.Instruction) ([]inputs.Input, error) {
	list := []inputs.Input{{"parent", s.chain}, {"instruction", s.text(in)}}
	if s.chain == "" {
		list = append(list, s.base...)
	}
	switch in.Name {
	case "RUN":
		for _, name := range slices.Sorted(maps.Keys(s.args)) { // ENV is in the steps above
			list = append(list, inputs.Input{"ARG " + name, s.args[name]})
		}
		list = append(list, inputs.Input{"command", fmt.Sprintf("%q", s.script(in))},
			inputs.Input{"network", s.b.networkInput(in)})
		list = append(list, s.b.RunLimits()...)
		return s.mountInputs(in, list)
	case "WORKDIR":
		if s.b.epoch != nil { // the time of its directory
			list = append(list, inputs.Input{"SOURCE_DATE_EPOCH", fmt.Sprint(s.b.epoch.Unix())})
		}
	case "ADD", "COPY":
		files, err := s.copyInputs(in)
		return append(list, files...), err
	}
	return list, nil
}

// text returns an instruction with its variables replaced, quoted so that no two look the same.
func (s *stageBuild) text(in *dockerfile.Instruction) string {
	words := []string{in.Name}
	for _, name := range slices.Sorted(maps.Keys(in.Flags)) {
		words = append(words, fmt.Sprintf("--%s=%q", name, in.Flags[name]))
	}
	words = append(words, in.Args...)
	for _, pair := range in.Pairs {
		words = append(words, fmt.Sprintf("%s=%s %v", pair.Name, pair.Value, pair.Bare))
	}
	for _, doc := range in.Docs {
		words = append(words, doc.Name, doc.Content)
	}
	return fmt.Sprintf("%q", words)
}

// fromInputs returns the inputs of FROM: the image that it starts from.
func (s *stageBuild) fromInputs(base string, id string) []inputs.Input {
	list := []inputs.Input{{"base " + base, id}, {"platform", registry.FormatPlatform(s.b.want)}}
	if s.b.RewriteTimestamp { // all layers above have it
		list = append(list, inputs.Input{"rewrite-timestamp", fmt.Sprint(s.b.epoch.Unix())})
	}
	return list
}

// look finds out whether a step was made before. If not, no other build makes it until it is
// remembered or has failed.
func (s *stageBuild) look(
	in *dockerfile.Instruction, inputs []inputs.Input,
) (c *cacheStep, err error) {
	c = &cacheStep{key: keyOf(inputs), inputs: inputs, slot: s.slot()}
	if s.b.uncached(s) {
		c.why = noCache
		return c, nil
	}
	if c.hit, _ = s.b.cache.Find(c.key); c.hit != nil {
		return c, nil
	}
	c.lock, err = s.b.cache.Lock(s.b.ctx, c.key, func() {
		fmt.Fprintln(os.Stderr, "box: another build makes this step: "+in.Text)
	})
	if err != nil {
		return nil, err
	}
	wrong := ""
	if c.hit, wrong = s.b.cache.Find(c.key); c.hit == nil { // the other build may have made it
		c.why = s.b.reason(c, wrong)
	}
	return c, nil
}

// remember keeps the result of a step that was made, or that --cache-from has brought.
func (s *stageBuild) remember(c *cacheStep, e *stepstore.Entry) {
	if c.hit == nil && !c.racy || s.b.cache.IsImported(c.key, c.hit) {
		if err := s.b.cache.Write(c.key, e); err != nil {
			s.b.cacheBroken(err)
		}
	}
	if err := (inputs.Last{Key: c.key, Inputs: c.inputs}).Write(c.slot); err != nil {
		s.b.cacheBroken(err)
	}
	c.release()
}

// release lets other builds look the step up.
func (c *cacheStep) release() {
	if c.lock != nil {
		complain(c.lock.Close())
		c.lock = nil
	}
}

// cacheBroken prints once that the cache cannot be written to; the build goes on without it.
func (b *builder) cacheBroken(err error) {
	b.cacheOnce.Do(func() {
		fmt.Fprintf(os.Stderr, "box: the build cache: %v; this build goes on without it\n", err)
	})
}

// openCache opens the cache, and adds the steps of --cache-from. A cache that cannot be used is
// left alone: the build gets a new one, which is removed after it.
func (b *builder) openCache() (err error) {
	b.cache, err = stepstore.OpenCache(b.Store.path("cache"), b.Store.path("images/partial"),
		b.cacheBroken)
	if err != nil {
		return err
	}
	b.cache.Has, b.cache.Warn = b.Store.layers().Has, complain
	if err := b.checkCacheOptions(); err != nil {
		return err
	}
	b.sums, b.show.Least = b.openChecksums(), 50*time.Millisecond
	b.urls = &urlcache.Cache{Dir: b.cache.Path("urls")}
	for _, name := range b.CacheFrom {
		if err := b.importCache(strings.TrimPrefix(name, "type=registry,ref=")); err != nil {
			fmt.Fprintf(os.Stderr,
				"box: warning: --cache-from %s: %v; building without it\n", name, err)
		}
	}
	return nil
}

// closeCache keeps the digests of files that were read, and removes a cache of this build alone.
func (b *builder) closeCache() {
	if err := b.sums.close(); err != nil {
		b.cacheBroken(err)
	}
	if b.cache.Temp {
		complain(removeTree(b.cache.Dir))
	}
}

// slot returns the place of a step: a Dockerfile, a stage, a number. A context on standard input
// has no place, only the number counts.
func (s *stageBuild) slot() string {
	s.slots++
	dir := "-"
	if abs, err := filepath.Abs(s.b.files.Dir); err == nil && !s.b.files.Temporary {
		dir = abs
	}
	return s.b.cache.Slot(dir, s.b.File, s.Name, fmt.Sprint(s.Index), fmt.Sprint(s.slots))
}

// runOrReuse runs a step, or takes it from the cache.
func (s *stageBuild) runOrReuse(
	in *dockerfile.Instruction, do func(in *dockerfile.Instruction) error,
) error {
	list, err := s.inputs(in)
	if err != nil {
		return err
	}
	c, err := s.look(in, list)
	if err != nil {
		return err
	}
	defer c.release()
	if s.b.ExplainCache {
		inputs.Print(os.Stderr, in.Text, c.key, c.inputs)
	}
	s.announce(c, in)
	layers := len(s.blobs)
	if c.hit != nil && layerInstructions[in.Name] != nil && in.Name != "WORKDIR" {
		do = s.reuse // not for WORKDIR, which changes the configuration too
	}
	if err := do(in); err != nil {
		return err
	}
	if c.hit == nil {
		if err := s.recheck(c, in); err != nil {
			return err
		}
	}
	s.remember(c, s.result(c, in, layers))
	return nil
}

// result returns the entry of a step that was done, and continues the chain with it.
func (s *stageBuild) result(c *cacheStep, in *dockerfile.Instruction, layers int) *stepstore.Entry {
	e := &stepstore.Entry{Version: stepstore.Version, Created: s.at, Step: in.Text}
	s.chain = c.key
	if len(s.blobs) > layers {
		e.Layer = &s.blobs[layers]
		e.Bytes = s.b.Store.layers().Size(e.Layer.Digest)
		s.chain += " " + e.Layer.Digest.String() // made again, it can differ
	}
	if ids := s.config.RootFS.DiffIDs; len(ids) > 0 {
		e.On = ids[len(ids)-1]
	}
	s.steps = withKey(s.steps, c.key, e)
	return e
}

// announce shows whether the step was made before, and if not, why.
func (s *stageBuild) announce(c *cacheStep, in *dockerfile.Instruction) {
	s.step = c
	note := ""
	if c.hit != nil {
		s.at = c.hit.Created
		note = ui.Cached
	} else {
		if c.why == inputs.ParentChanged && s.missed > 0 {
			c.why = fmt.Sprintf("parent changed (step %d)", s.missed)
		}
		if s.missed == 0 {
			s.missed = s.shown.Number
		}
		if c.why != isNew && c.why != noCache {
			note = c.why
		}
	}
	s.shown.Announce(note)
	s.pictureSteps = append(s.pictureSteps, buildpicture.Step{
		Text: strings.Join(strings.Fields(in.Text), " "), Why: c.why, Cached: c.hit != nil,
	})
}

// recheck looks once more at the files that a step was made of: if they have changed since the
// key was made, the key would name something else.
func (s *stageBuild) recheck(c *cacheStep, in *dockerfile.Instruction) error {
	if in.Name != "COPY" && in.Name != "ADD" && len(in.Mounts) == 0 || in.Flag("from") != "" {
		return nil
	}
	again, err := s.inputs(in)
	if err != nil {
		return err
	}
	changed := inputs.ChangedFile(c.inputs, again)
	if c.racy = changed != ""; c.racy {
		fmt.Fprintf(os.Stderr, "box: %s: %s changed while the step ran;"+
			" this step is not kept in the cache\n", in.Text, changed)
	}
	return nil
}

// addCacheNote adds the annotation for --cache-to to those of the manifest.
func (s *stageBuild) addCacheNote() error {
	if s.b.CacheTo == "" || len(s.steps) == 0 {
		return nil
	}
	note, err := stepstore.Note(s.steps)
	s.b.notes = withKey(s.b.notes, stepstore.Annotation, note)
	return err
}

// reuse takes a step's result from the cache.
func (s *stageBuild) reuse(in *dockerfile.Instruction) error {
	layer := s.step.hit.Layer
	if layer == nil {
		s.history(in, true)
		return nil
	}
	s.add(in, *layer)
	return nil
}

// importCache adds the steps that an image's manifest lists.
func (b *builder) importCache(name string) error {
	image, err := b.image(name, b.want)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := b.Store.layout().ReadJSON(image.Manifest.Digest, &manifest); err != nil {
		return err
	}
	return b.cache.Import(manifest.Annotations, image.Config.RootFS.DiffIDs)
}
