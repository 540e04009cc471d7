// The build cache: a step that has not changed is not run. What a step depends on is written
// down as a list, its inputs: the step before it, its text with the variables replaced, and
// by the kind of instruction what else can change its result. The digest of that list is the
// step's key; under it, cache/ remembers when the step was made and which layer came of it.
// Because the step before is an input, everything below the first miss misses too.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// Caching says what a build takes from earlier ones.
type Caching struct {
	NoCacheFilter []string `help:"Take nothing for these stages." placeholder:"STAGE"`
	CacheFrom     []string `help:"An image that was built with --cache-to, to take steps from." placeholder:"IMAGE" sep:"none"`
	CacheTo       string   `help:"inline: write into the image's manifest which step made which layer." placeholder:"inline"`
	ExplainCache  bool     `help:"Tell for each step all that it depends on."`
	Picture       string   `help:"Draw which steps were taken from the cache, after the build: text, or svg." enum:",text,svg" default:"" placeholder:"text|svg"`
}

// input is one of the things that a step depends on. Its digest counts; its text is for people.
type input struct {
	Name  string
	Value string
}

// entry is a step that was made, in cache/KEY.json.
type entry struct {
	Version int
	Created time.Time
	Step    string
	Layer   *ocispec.Descriptor `json:",omitempty"` // if it made one
	Bytes   int64               // of the layer's files
}

// cacheVersion is that of the rules for keys: others' entries are not looked at.
const cacheVersion = 1

// cacheStep is a step while its key is used.
type cacheStep struct {
	key    string
	slot   string // the place of the step in its Dockerfile
	inputs []input
	why    string // of a miss, for people
	hit    *entry
	lock   *os.File
	racy   bool // what it was made of has changed meanwhile: not to be remembered
}

// keyOf is the digest of inputs.
func keyOf(inputs []input) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", cacheVersion)
	for _, in := range inputs {
		fmt.Fprintf(h, "%d %d %s %s\n", len(in.Name), len(in.Value), in.Name, in.Value)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// inputs are what a step depends on. This is the whole rule.
func (s *stageBuild) inputs(in *Instruction) ([]input, error) {
	list := []input{{"parent", s.chain}, {"instruction", s.text(in)}}
	if s.slots == 0 {
		list = append(list, s.base...)
	}
	switch in.Name {
	case "RUN":
		for _, name := range slices.Sorted(maps.Keys(s.args)) { // what ENV sets, is in the steps above
			list = append(list, input{"ARG " + name, s.args[name]})
		}
		list = append(list, input{"command", strings.Join(s.script(in), "\x00")}, input{"network", cmpOr(in.flag("network"), s.b.Network)})
		return s.mountInputs(in, list)
	case "ADD", "COPY":
		files, err := s.copyInputs(in)
		return append(list, files...), err
	}
	return list, nil
}

// text is an instruction as it was written, and with its variables replaced.
func (s *stageBuild) text(in *Instruction) string {
	words := []string{in.Name}
	for _, name := range slices.Sorted(maps.Keys(in.Flags)) {
		words = append(words, "--"+name+"="+strings.Join(in.Flags[name], "\x00"))
	}
	words = append(words, in.Args...)
	for _, pair := range in.Pairs {
		words = append(words, fmt.Sprintf("%s=%s %v", pair.Name, pair.Value, pair.Bare))
	}
	for _, doc := range in.Docs {
		words = append(words, doc.Name, doc.Content)
	}
	return strings.Join(words, "\x00")
}

// fromInputs are those of FROM: the image or stage that it begins with.
func (s *stageBuild) fromInputs(base string, id string) []input {
	return []input{{"base " + base, id}, {"platform", platformText(s.b.want)}}
}

// look finds out whether a step was made before. Until remember, nobody else can make it.
func (s *stageBuild) look(in *Instruction, inputs []input) (*cacheStep, error) {
	c := &cacheStep{key: keyOf(inputs), inputs: inputs, slot: s.slot()}
	if s.chain = c.key; s.b.uncached(s) {
		c.why = "the cache is not asked"
		return c, nil
	}
	if c.hit = s.b.find(c.key); c.hit != nil {
		return c, nil
	}
	var err error
	if c.lock, err = s.b.Store.waitForLock(filepath.Join("cache", "locks", c.key[:16]), unix.F_WRLCK); err != nil {
		s.b.cacheBroken(err)
		c.lock = nil
	}
	if c.hit = s.b.find(c.key); c.hit == nil { // another build may have made it while this one waited
		c.why = s.b.reason(c)
	}
	return c, nil
}

// uncached tells whether nothing shall be taken for a stage.
func (b *builder) uncached(s *stageBuild) bool {
	return b.NoCache || slices.ContainsFunc(b.NoCacheFilter, func(name string) bool {
		return strings.EqualFold(name, s.Name) || name == fmt.Sprint(s.Index)
	})
}

// find finds an entry whose layer is there. Anything that is wrong with it is a miss.
func (b *builder) find(key string) *entry {
	e := b.imported[key]
	if e == nil {
		e = &entry{}
		if err := readJSON(b.cachePath(key), e); err != nil || e.Version != cacheVersion {
			return nil
		}
	}
	if e.Layer != nil && (e.Layer.Digest.Validate() != nil || !exists(b.Store.layerPath(e.Layer.Digest))) {
		return nil
	}
	if now := time.Now(); b.imported[key] == nil {
		if err := os.Chtimes(b.cachePath(key), now, now); err != nil { // when it was used last
			return e
		}
	}
	return e
}

func (b *builder) cachePath(key string) string { return b.Store.path("cache", "steps", key+".json") }

// remember keeps what came of a step that was made.
func (s *stageBuild) remember(c *cacheStep, in *Instruction, layer *ocispec.Descriptor) {
	if c.hit == nil && !c.racy && !s.b.cacheOff {
		e := entry{Version: cacheVersion, Created: s.at, Step: in.Text, Layer: layer}
		if layer != nil {
			e.Bytes = s.b.Store.layerSize(layer.Digest)
		}
		if err := writeJSON(s.b.cachePath(c.key), e, false); err != nil {
			s.b.cacheBroken(err)
		}
	}
	if err := s.b.rememberInputs(c); err != nil {
		s.b.cacheBroken(err)
	}
	c.release()
}

func (c *cacheStep) release() {
	if c.lock != nil {
		complain(c.lock.Close())
		c.lock = nil
	}
}

// cacheBroken says once that the cache cannot be written to; the build goes on without.
func (b *builder) cacheBroken(err error) {
	b.cacheOnce.Do(func() { fmt.Fprintf(os.Stderr, "box: the build cache: %v; nothing is kept of this build\n", err) })
	b.cacheOff = true
}

// openCache makes the directories of the cache, and takes what images bring along.
func (b *builder) openCache() error {
	b.imported = map[string]*entry{}
	for _, dir := range []string{"cache/steps", "cache/slots", "cache/locks", "cache/files"} {
		if err := os.MkdirAll(b.Store.path(dir), 0o711); err != nil {
			b.cacheBroken(err)
			return nil
		}
	}
	for _, name := range b.CacheFrom {
		image, err := b.image(name, b.want)
		if err != nil {
			fmt.Fprintf(os.Stderr, "box: --cache-from %s: %v; the build goes on without\n", name, err)
			continue
		}
		if err := b.importCache(image); err != nil {
			return fmt.Errorf("--cache-from %s: %w", name, err)
		}
	}
	if b.CacheTo != "" && b.CacheTo != "inline" && b.CacheTo != "type=inline" {
		return fmt.Errorf("--cache-to %s: there is inline, which writes into the image", b.CacheTo)
	}
	return nil
}

// slot is the place of a step: a Dockerfile, a stage, a number.
func (s *stageBuild) slot() string {
	s.slots++
	file, err := filepath.Abs(s.b.files.dir)
	if err != nil {
		file = s.b.files.dir
	}
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%d", file, s.b.File, s.Name, s.Index, s.slots)))[:32]
}

func (b *builder) slotPath(slot string) string { return b.Store.path("cache", "slots", slot+".json") }

// rememberInputs notes what the step at this place depended on, for the next reason.
func (b *builder) rememberInputs(c *cacheStep) error {
	if b.cacheOff || c.hit != nil && exists(b.slotPath(c.slot)) && c.why == "" {
		return nil
	}
	return writeJSON(b.slotPath(c.slot), c.inputs, false)
}

// reason says why a step is not in the cache, by what it depended on the last time.
func (b *builder) reason(c *cacheStep) string {
	var before []input
	if err := readJSON(b.slotPath(c.slot), &before); err != nil {
		return "it is new"
	}
	old := map[string]string{}
	for _, in := range before {
		old[in.Name] = in.Value
	}
	var reasons []string
	for _, in := range c.inputs {
		value, was := old[in.Name]
		delete(old, in.Name)
		if was && value == in.Value {
			continue
		}
		reasons = append(reasons, in.differs(value, was))
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		reasons = append(reasons, input{Name: name}.gone())
	}
	switch {
	case len(reasons) == 0:
		return "its layer was removed"
	case slices.Contains(reasons, parentIsNew) && len(reasons) > 1:
		reasons = slices.DeleteFunc(reasons, func(r string) bool { return r == parentIsNew })
	}
	if len(reasons) > 3 {
		reasons = append(reasons[:3], fmt.Sprintf("and %d more", len(reasons)-3))
	}
	return strings.Join(reasons, "; ")
}

const parentIsNew = "the step above is new"

// differs says what is different about an input.
func (in input) differs(before string, was bool) string {
	kind, name, _ := strings.Cut(in.Name, " ")
	switch {
	case kind == "parent":
		return parentIsNew
	case kind == "file" && !was:
		return name + " is new"
	case kind == "file":
		return name + " changed (" + fileDifference(before, in.Value) + ")"
	case kind == "ARG" && was:
		return fmt.Sprintf("ARG %s %s → %s", name, shorten(before), shorten(in.Value))
	case kind == "base" && was:
		return fmt.Sprintf("base image %s: %s → %s", name, shorten(before), shorten(in.Value))
	case !was:
		return in.Name + " is new"
	}
	return "its " + kind + " changed"
}

// gone says that an input is there no more.
func (in input) gone() string {
	kind, name, _ := strings.Cut(in.Name, " ")
	if kind == "file" {
		return name + " is gone"
	}
	return in.Name + " is gone"
}

// shorten is as much of a value as fits into a line.
func shorten(value string) string {
	value = strings.TrimPrefix(value, "sha256:")
	if len(value) > 24 {
		return value[:12] + "…"
	}
	return value
}

// cached does a step, or takes it from the cache.
func (s *stageBuild) cached(in *Instruction, do func() error) error {
	above := s.chain
	inputs, err := s.inputs(in)
	if err != nil {
		return err
	}
	c, err := s.look(in, inputs)
	if err != nil {
		return err
	}
	defer c.release()
	if s.b.ExplainCache {
		c.explain(in)
	}
	s.tell(c, in)
	layers := len(s.blobs)
	if err := do(); err != nil {
		return err
	}
	var layer *ocispec.Descriptor
	if len(s.blobs) > layers {
		layer = &s.blobs[layers]
	}
	if c.hit == nil {
		if err := s.unchanged(c, in, above); err != nil {
			return err
		}
	}
	s.remember(c, in, layer)
	s.steps = append(s.steps, exported{c.key, &entry{cacheVersion, s.at, in.Text, layer, 0}})
	return nil
}

// tell shows whether the step was made before, and if not, why.
func (s *stageBuild) tell(c *cacheStep, in *Instruction) {
	s.hit, s.at = c.hit, time.Now().UTC()
	if c.hit != nil {
		s.at = c.hit.Created
		s.shown.note = "CACHED"
	} else {
		if c.why == parentIsNew {
			c.why = fmt.Sprintf("the parent is new, since step %d", s.missed)
		}
		s.b.missed.Store(true)
		if s.missed == 0 {
			s.missed = s.shown.number
		}
		s.shown.note = c.why
	}
	s.shown.told()
	s.drawn = append(s.drawn, drawnStep{strings.Join(strings.Fields(in.Text), " "), c.why, c.hit != nil})
}

// unchanged looks once more at what a step was made of: if it is not what it was when the
// key was made, the key would name something else.
func (s *stageBuild) unchanged(c *cacheStep, in *Instruction, above string) error {
	if in.Name != "COPY" && in.Name != "ADD" && len(in.Mounts) == 0 {
		return nil
	}
	below := s.chain
	s.chain = above
	again, err := s.inputs(in)
	s.chain = below
	if err != nil {
		return err
	}
	for i, input := range again {
		if i >= len(c.inputs) || input != c.inputs[i] {
			fmt.Fprintf(os.Stderr, "box: %s while it was copied: this step is not kept in the cache\n", input.differs("", i < len(c.inputs)))
			c.racy = true
			break
		}
	}
	return nil
}

// exported is a step as --cache-to tells of it.
type exported struct {
	key string
	*entry
}

// cacheNotes are the annotations of the manifest for --cache-to.
func (s *stageBuild) cacheNotes() (map[string]string, error) {
	if s.b.CacheTo == "" {
		return nil, nil
	}
	steps := map[string]*entry{}
	for _, step := range s.steps {
		steps[step.key] = step.entry
	}
	data, err := json.Marshal(steps)
	return map[string]string{cacheNote: string(data)}, err
}

// reuse takes a step's result from the cache.
func (s *stageBuild) reuse(in *Instruction) error {
	if s.hit.Layer == nil {
		s.note(in)
		return nil
	}
	s.add(in, *s.hit.Layer)
	return nil
}

// explain tells all that a step depends on.
func (c *cacheStep) explain(in *Instruction) {
	fmt.Fprintf(os.Stderr, "key of %q: %s\n", in.Text, c.key)
	for _, i := range c.inputs {
		fmt.Fprintf(os.Stderr, "  %-30s %q\n", i.Name, shorten(i.Value))
	}
}

// cacheNote is where a manifest says which step made which layer.
const cacheNote = "stagebox.cache.v1"

// importCache takes the steps that an image's manifest tells of.
func (b *builder) importCache(image *Image) error {
	var manifest ocispec.Manifest
	if err := b.Store.readObject(image.Manifest.Digest, &manifest); err != nil {
		return err
	}
	note := manifest.Annotations[cacheNote]
	if note == "" {
		return errors.New("the image tells of no steps: build it with --cache-to inline")
	}
	steps := map[string]*entry{}
	if err := decodeJSON(note, &steps); err != nil {
		return err
	}
	for key, e := range steps {
		known := e.Layer == nil || slices.Contains(image.Config.RootFS.DiffIDs, digest.Digest(e.Layer.Digest))
		if e.Version == cacheVersion && known {
			b.imported[key] = e
		}
	}
	return nil
}
