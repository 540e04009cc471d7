// The build cache: a step that has not changed is not run. What a step depends on is written
// down as a list, its inputs: the step before it, its text with the variables replaced, and
// by the kind of instruction what else can change its result. The digest of that list is the
// step's key; under it, cache/ remembers when the step was made and which layer came of it. What
// came of the step before is an input, so everything below the first miss misses too.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/ui"
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

// entry is a step that was made, in cache/steps/KEY.json.
type entry struct {
	Version int
	Created time.Time
	Step    string
	Layer   *ocispec.Descriptor `json:",omitempty"` // if it made one
	On      digest.Digest       `json:",omitempty"` // the topmost layer afterwards
	Bytes   int64               // of the layer's files
}

// cacheVersion is that of the rules for keys: others' entries are not looked at.
const cacheVersion = 1

// cacheStep is a step while its key is used.
type cacheStep struct {
	key    string
	slot   string // the place of the step in its Dockerfile, a file
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
func (s *stageBuild) inputs(in *dockerfile.Instruction) ([]input, error) {
	list := []input{{"parent", s.chain}, {"instruction", s.text(in)}}
	if s.chain == "" {
		list = append(list, s.base...)
	}
	switch in.Name {
	case "RUN":
		for _, name := range slices.Sorted(maps.Keys(s.args)) { // what ENV sets, is in the steps above
			list = append(list, input{"ARG " + name, s.args[name]})
		}
		list = append(list, input{"command", fmt.Sprintf("%q", s.script(in))}, input{"network", cmpOr(in.Flag("network"), s.b.Network)})
		return s.mountInputs(in, list)
	case "ADD", "COPY":
		files, err := s.copyInputs(in)
		return append(list, files...), err
	}
	return list, nil
}

// text is an instruction with its variables replaced, quoted so that no two look the same.
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

// fromInputs are those of FROM: the image or stage that it begins with.
func (s *stageBuild) fromInputs(base string, id string) []input {
	return []input{{"base " + base, id}, {"platform", platformText(s.b.want)}}
}

// look finds out whether a step was made before. Until it is remembered, or has failed,
// nobody else makes it.
func (s *stageBuild) look(in *dockerfile.Instruction, inputs []input) (c *cacheStep, err error) {
	c = &cacheStep{key: keyOf(inputs), inputs: inputs, slot: s.slot()}
	if s.b.uncached(s) {
		c.why = notAsked
		return c, nil
	}
	if c.hit, _ = s.b.find(c.key); c.hit != nil {
		return c, nil
	}
	if c.lock, err = s.b.waitFor("step "+c.key, "another build makes this step: "+in.Text); err != nil {
		return nil, err
	}
	wrong := ""
	if c.hit, wrong = s.b.find(c.key); c.hit == nil { // the other build may have made it
		c.why = s.b.reason(c, wrong)
	}
	return c, nil
}

const notAsked = "the cache is not asked"

// waitFor locks what a name stands for, with everybody else who uses this cache.
func (b *builder) waitFor(name, says string) (*os.File, error) {
	file, err := state.TryLockName(b.cachePath("lock"), name, state.Exclusive)
	if err != state.ErrBusy {
		return file, err
	}
	fmt.Fprintln(os.Stderr, "box: "+says)
	file, err = state.LockName(b.ctx, b.cachePath("lock"), name, state.Exclusive)
	if err != nil && b.ctx.Err() != nil {
		err = errors.New("the build was interrupted")
	}
	return file, err
}

// uncached tells whether nothing shall be taken for a stage.
func (b *builder) uncached(s *stageBuild) bool {
	return b.NoCache || slices.ContainsFunc(b.NoCacheFilter, func(name string) bool {
		return isCalled(s.Stage, name)
	})
}

// find finds an entry whose layer is there. Anything that is wrong with it is a miss.
func (b *builder) find(key string) (e *entry, wrong string) {
	path := b.cachePath("steps", key+".json")
	e, err := readEntry(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil && b.imported[key] != nil {
		e, err = b.imported[key], nil
	}
	switch {
	case err != nil:
		return nil, "what the cache tells of it is damaged"
	case e == nil:
		return nil, "the cache has forgotten it"
	case e.Layer != nil && (e.Layer.Digest.Validate() != nil || !exists(b.Store.layerPath(e.Layer.Digest))):
		return nil, "its layer was removed"
	}
	if now := time.Now(); b.imported[key] != e {
		complain(os.Chtimes(path, now, now)) // when it was used last
	}
	return e, ""
}

// readEntry reads an entry and holds it against the checksum in its second line.
func readEntry(path string) (*entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line, sum, _ := bytes.Cut(data, []byte("\n"))
	if fmt.Sprintf("%x\n", sha256.Sum256(line)) != string(sum) {
		return nil, fmt.Errorf("%s is damaged", path)
	}
	e := &entry{}
	if err := json.Unmarshal(line, e); err != nil || e.Version != cacheVersion {
		return nil, fmt.Errorf("%s is of another version", path)
	}
	return e, nil
}

// writeEntry writes what readEntry reads.
func writeEntry(path string, e *entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = fmt.Appendf(line, "\n%x\n", sha256.Sum256(line))
	return state.Write(path, line, 0o600, state.Volatile)
}

func (b *builder) cachePath(names ...string) string {
	return filepath.Join(append([]string{b.cacheDir}, names...)...)
}

// remember keeps what came of a step that was made.
func (s *stageBuild) remember(c *cacheStep, e *entry) {
	if c.hit == nil && !c.racy || c.hit != nil && c.hit == s.b.imported[c.key] {
		if err := writeEntry(s.b.cachePath("steps", c.key+".json"), e); err != nil {
			s.b.cacheBroken(err)
		}
	}
	if err := c.rememberInputs(); err != nil {
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
	b.cacheOnce.Do(func() { fmt.Fprintf(os.Stderr, "box: the build cache: %v; this build goes on without it\n", err) })
}

// openCache opens the cache, and takes what images bring along. One that is of no use is
// left alone: the build gets a new one, which ends with it.
func (b *builder) openCache() (err error) {
	b.imported, b.cacheDir = map[string]*entry{}, b.Store.path("cache")
	if err := openCacheDir(b.cacheDir); err != nil {
		b.cacheBroken(err)
		if b.cacheDir, err = os.MkdirTemp(b.Store.path("images/partial"), "cache-*"); err != nil {
			return err
		}
		b.cacheTemp = true
		if err := openCacheDir(b.cacheDir); err != nil {
			return err
		}
	}
	if b.CacheTo != "" && b.CacheTo != "inline" && b.CacheTo != "type=inline" {
		return fmt.Errorf("--cache-to %s: there is inline, which writes into the image", b.CacheTo)
	}
	for _, name := range b.NoCacheFilter {
		if !slices.ContainsFunc(b.file.Stages, func(s *dockerfile.Stage) bool { return isCalled(s, name) }) {
			return fmt.Errorf("--no-cache-filter %s: no stage has this name or number", name)
		}
	}
	for _, name := range b.CacheFrom {
		if err := b.importCache(strings.TrimPrefix(name, "type=registry,ref=")); err != nil {
			fmt.Fprintf(os.Stderr, "box: --cache-from %s: %v; the build goes on without\n", name, err)
		}
	}
	return nil
}

func (b *builder) closeCache() {
	if b.cacheTemp {
		complain(removeTree(b.cacheDir))
	}
}

// openCacheDir makes what is missing of a cache, and says why it cannot be used: somebody
// else could write what they like into theirs, and a newer box may have other rules.
func openCacheDir(dir string) error {
	for _, name := range []string{"steps", "slots", "files", "urls", "mounts"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
		if err := unix.Access(filepath.Join(dir, name), unix.W_OK); err != nil {
			return about("write to", filepath.Join(dir, name), err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d, and not to this one", dir, owner)
	}
	name := filepath.Join(dir, "version")
	version, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return state.Write(name, fmt.Appendf(nil, "%d\n", cacheVersion), 0o600, state.Durable)
	}
	if text := strings.TrimSpace(string(version)); err == nil && text != fmt.Sprint(cacheVersion) {
		return fmt.Errorf("%s is of version %q, and this box writes %d: box builder prune --all of the other box empties it", dir, shorten(text), cacheVersion)
	}
	return err
}

// isCalled reports whether a stage has a name or number.
func isCalled(s *dockerfile.Stage, name string) bool {
	return s.Name != "" && strings.EqualFold(name, s.Name) || name == fmt.Sprint(s.Index)
}

// slot is the place of a step: a Dockerfile, a stage, a number. What is on standard input
// has no place, only a number.
func (s *stageBuild) slot() string {
	s.slots++
	dir := "-"
	if abs, err := filepath.Abs(s.b.files.dir); err == nil && !s.b.files.temporary {
		dir = abs
	}
	place := fmt.Sprintf("%q", []string{dir, s.b.File, s.Name, fmt.Sprint(s.Index), fmt.Sprint(s.slots)})
	return s.b.cachePath("slots", fmt.Sprintf("%x.json", sha256.Sum256([]byte(place)))[32:])
}

// slotted is what the step at a place depended on the last time.
type slotted struct {
	Key    string
	Inputs []input
}

// rememberInputs notes what the step at this place depended on, for the next reason. That
// it is there already is seen from the beginning of the file.
func (c *cacheStep) rememberInputs() error {
	begin := `{"Key":"` + c.key + `"`
	if file, err := os.Open(c.slot); err == nil {
		is := make([]byte, len(begin))
		n, errRead := file.Read(is)
		complain(file.Close())
		if errRead == nil && string(is[:n]) == begin {
			return nil
		}
	}
	data, err := json.Marshal(slotted{c.key, c.inputs})
	if err != nil {
		return err
	}
	return state.Write(c.slot, data, 0o600, state.Volatile)
}

// reason says why a step is not in the cache, by what it depended on the last time; wrong
// is what is wrong with its entry.
func (b *builder) reason(c *cacheStep, wrong string) string {
	var before slotted
	if err := state.ReadJSON(c.slot, &before); err != nil {
		return isNew
	}
	if before.Key == c.key {
		return wrong
	}
	old := map[string]string{}
	for _, in := range before.Inputs {
		old[in.Name] = in.Value
	}
	var reasons []string
	for _, in := range c.inputs {
		value, was := old[in.Name]
		delete(old, in.Name)
		switch {
		case was && value == in.Value:
		case in.Name == "instruction":
			return "the instruction is another" // and so is all that it needs
		default:
			reasons = append(reasons, in.differs(value, was))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		reasons = append(reasons, input{Name: name}.gone())
	}
	if len(reasons) > 1 {
		reasons = slices.DeleteFunc(reasons, func(r string) bool { return r == parentIsNew })
	}
	if len(reasons) > 3 {
		reasons = append(reasons[:3], fmt.Sprintf("and %d more", len(reasons)-3))
	}
	return strings.Join(reasons, "; ")
}

const (
	isNew       = "it is new"
	parentIsNew = "the parent is new"
)

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
		return fmt.Sprintf("base image %s: %s → %s", name, shortID(before), shortID(in.Value))
	case !was:
		return in.Name + " is new"
	}
	return "its " + in.Name + " changed"
}

// shortID is the beginning of a digest.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(4, len(id))] + "…"
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
func (s *stageBuild) cached(in *dockerfile.Instruction, do func() error) error {
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
	e := &entry{Version: cacheVersion, Created: s.at, Step: in.Text}
	s.chain = c.key
	if len(s.blobs) > layers {
		e.Layer = &s.blobs[layers]
		e.Bytes = s.b.Store.layerSize(e.Layer.Digest)
		s.chain += " " + e.Layer.Digest.String() // made anew, it can be another
	}
	if ids := s.config.RootFS.DiffIDs; len(ids) > 0 {
		e.On = ids[len(ids)-1]
	}
	s.steps = append(s.steps, exported{c.key, e})
	if c.hit == nil {
		if err := s.unchanged(c, in); err != nil {
			return err
		}
	}
	s.remember(c, e)
	return nil
}

// tell shows whether the step was made before, and if not, why.
func (s *stageBuild) tell(c *cacheStep, in *dockerfile.Instruction) {
	s.hit, s.at = c.hit, time.Now().UTC()
	note := ""
	if c.hit != nil {
		s.at = c.hit.Created
		note = ui.Cached
	} else {
		s.b.missed.Store(true)
		if c.why == parentIsNew && s.missed > 0 {
			c.why = fmt.Sprintf("the parent is new, since step %d", s.missed)
		}
		if s.missed == 0 {
			s.missed = s.shown.Number
		}
		if c.why != isNew && c.why != notAsked {
			note = c.why
		}
	}
	s.shown.Announce(note)
	s.drawn = append(s.drawn, drawnStep{strings.Join(strings.Fields(in.Text), " "), c.why, c.hit != nil})
}

// unchanged looks once more at the files that a step was made of: if they are not what they
// were when the key was made, the key would name something else.
func (s *stageBuild) unchanged(c *cacheStep, in *dockerfile.Instruction) error {
	if in.Name != "COPY" && in.Name != "ADD" && len(in.Mounts) == 0 || in.Flag("from") != "" {
		return nil
	}
	chain := s.chain
	s.chain = c.inputs[0].Value
	again, err := s.inputs(in)
	s.chain = chain
	if err != nil {
		return err
	}
	isFile := func(in input) bool { return strings.HasPrefix(in.Name, "file ") }
	old := map[input]bool{}
	for _, input := range c.inputs {
		old[input] = true
	}
	for _, input := range again {
		if isFile(input) && !old[input] || len(again) != len(c.inputs) {
			name := strings.TrimPrefix(input.Name, "file ")
			fmt.Fprintf(os.Stderr, "box: %s: %s changed while it was copied; this step is not kept in the cache\n", in.Text, name)
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
	if s.b.CacheTo == "" || len(s.steps) == 0 {
		return nil, nil
	}
	steps := map[string]*entry{}
	for _, step := range s.steps {
		steps[step.key] = step.entry
	}
	data, err := json.Marshal(steps)
	return map[string]string{cacheNote: string(data)}, err
}

// putImageWith writes an image, with these notes in its manifest.
func (s Store) putImageWith(config ImageConfig, layers []ocispec.Descriptor, name string, notes map[string]string) (*Image, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return s.putEncoded(data, layers, name, notes)
}

// reuse takes a step's result from the cache.
func (s *stageBuild) reuse(in *dockerfile.Instruction) error {
	if s.hit.Layer == nil {
		s.note(in)
		return nil
	}
	s.add(in, *s.hit.Layer)
	return nil
}

// explain tells all that a step depends on.
func (c *cacheStep) explain(in *dockerfile.Instruction) {
	var text strings.Builder
	fmt.Fprintf(&text, "key of %q: %s\n", in.Text, c.key)
	for _, i := range c.inputs {
		fmt.Fprintf(&text, "  %s = %q\n", i.Name, i.Value)
	}
	fmt.Fprint(os.Stderr, text.String())
}

// cacheNote is where a manifest says which step made which layer.
const cacheNote = "stagebox.cache.v1"

// importCache takes the steps that an image's manifest tells of.
func (b *builder) importCache(name string) error {
	image, err := b.image(name, b.want)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := b.Store.readObject(image.Manifest.Digest, &manifest); err != nil {
		return err
	}
	note := manifest.Annotations[cacheNote]
	if note == "" {
		return errors.New("the image tells of no steps: build it with --cache-to inline")
	}
	steps := map[string]*entry{}
	if err := json.Unmarshal([]byte(note), &steps); err != nil {
		return fmt.Errorf("what it tells of its steps: %w", err)
	}
	for key, e := range steps {
		if e != nil && e.Version == cacheVersion && (e.Layer == nil || slices.Contains(image.Config.RootFS.DiffIDs, e.Layer.Digest)) {
			b.imported[key] = e
		}
	}
	return nil
}
