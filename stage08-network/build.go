// box build: a Dockerfile becomes an image, step by step (the Dockerfile reference). Each
// instruction is a function below. Those that change files make a layer: RUN in a container
// of its own, COPY and ADD by writing into an upper directory; the others change only the
// configuration. A stage is an image in the making; FROM can go on from an earlier one.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/registry"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/ui"
)

// builder is a build on its way.
type builder struct {
	*buildCmd
	ctx     context.Context
	file    *dockerfile.File
	files   *buildContext
	args    map[string]string // --build-arg
	globals map[string]string // what FROM may use
	native  map[string]string // of the platforms
	want    ocispec.Platform
	secrets map[string]secret
	show    *ui.Steps
	done    map[*dockerfile.Stage]*stageBuild

	lock     sync.Mutex // of done and images
	sums     *checksums
	imported map[string]*entry // what --cache-from brought
	missed   atomic.Bool       // some step was made anew

	cacheDir  string
	cacheTemp bool // it is for this build alone

	cacheOnce sync.Once  // says that the cache is broken
	ignoring  sync.Mutex // of the patterns to ignore
	urls      sync.Mutex // of fetched
	fetched   map[string]fetched
	images    map[string]*gotImage
}

// gotImage is an image that a build asked for: once, so that it is the same for all stages.
type gotImage struct {
	once  sync.Once
	image *Image
	err   error
}

// stageBuild is a stage while it is built.
type stageBuild struct {
	*dockerfile.Stage
	b      *builder
	config ImageConfig
	blobs  []ocispec.Descriptor
	args   map[string]string // ARGs that were declared

	hasCmd bool // of its own
	shown  *ui.Step

	chain  string  // the key of the step before
	base   []input // what FROM begins with
	slots  int     // steps so far
	steps  []exported
	hit    *entry    // what the step that is done was before
	at     time.Time // when it was made
	missed int       // the first step that was not in the cache
	drawn  []drawnStep

	once sync.Once // builds it
	err  error     // what came of that
}

func (b *builder) run() (err error) {
	c := b.buildCmd
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.files.close()) }()
	if c.Check {
		return b.check()
	}
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	if err := b.heed(); err != nil {
		return err
	}
	b.show = ui.NewSteps(os.Stderr, c.Progress, c.Quiet)
	b.show.Least = 50 * time.Millisecond
	if err := b.openCache(); err != nil {
		return err
	}
	defer b.closeCache()
	b.sums, b.fetched = b.openChecksums(), map[string]fetched{}
	image, err := b.build()
	if errSums := b.sums.close(); errSums != nil {
		b.cacheBroken(errSums)
	}
	if c.Picture != "" {
		b.draw()
	}
	if err != nil {
		return err
	}
	if c.Iidfile != "" {
		path, err := state.OutputPath(c.Iidfile)
		if err == nil {
			err = state.Write(path, []byte(image.ID.String()), 0o644, state.Volatile)
		}
		if err != nil {
			return err
		}
	}
	_, err = fmt.Println(image.ID)
	return err
}

// prepare reads all that the build begins with.
func (b *builder) prepare() (err error) {
	if b.args, err = keyValues("--build-arg", b.BuildArg); err != nil {
		return err
	}
	if b.secrets, err = parseSecrets(b.Secret); err != nil {
		return err
	}
	for _, name := range b.Tag {
		if _, err := newName(name); err != nil {
			return fmt.Errorf("--tag %w", err)
		}
	}
	if b.want, err = parsePlatform(b.Platform); err != nil {
		return err
	}
	if b.files, err = openContext(b.Context, b.File); err != nil {
		return err
	}
	if b.file, err = dockerfile.Parse(b.files.dockerfileName, b.files.dockerfile); err != nil {
		return errors.Join(err, b.files.close())
	}
	target := b.Target
	if target == "" {
		target = "default"
	}
	b.native = dockerfile.PlatformArgs(platformText(here()), platformText(b.want), target)
	b.globals, err = b.file.Globals(b.native, b.args)
	return err
}

// heed refuses what is doubtful, if a directive of the Dockerfile wants that.
func (b *builder) heed() error {
	if fatal, err := b.file.WarningsAreErrors(); err != nil || !fatal {
		return err
	}
	warnings, _, err := b.warnings()
	if err != nil || len(warnings) == 0 {
		return err
	}
	return fmt.Errorf("the Dockerfile wants warnings to be errors: %s", warnings[0])
}

func (b *builder) warnings() ([]dockerfile.Warning, bool, error) {
	return dockerfile.Check(b.file, dockerfile.CheckOptions{
		Args: b.args, Platform: b.native, Ignore: b.files.ignore,
		ImageEnv:   b.imageEnv,
		ValidImage: func(name string) bool { _, err := registry.ParseReference(name); return err == nil },
	})
}

// imageEnv are the variables of an image that is here.
func (b *builder) imageEnv(name string) (map[string]string, bool) {
	image, err := b.Store.image(name)
	if err != nil {
		return nil, false
	}
	return envMap(image.Config.Config.Env), true
}

func envMap(env []string) map[string]string {
	m := map[string]string{}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		m[name] = value
	}
	return m
}

// build builds the target and what it needs, and makes it an image.
func (b *builder) build() (*Image, error) {
	target, err := b.target()
	if err != nil {
		return nil, err
	}
	b.show.Total = b.count(target)
	s, err := b.stage(target)
	if err != nil {
		return nil, err
	}
	labels, err := keyValues("--label", b.Label)
	if err != nil {
		return nil, err
	}
	for name, value := range labels {
		s.config.Config.Labels = withKey(maps.Clone(s.config.Config.Labels), name, value)
	}
	if b.missed.Load() {
		if err := files.Sync(b.Store.path("layers")); err != nil {
			return nil, err
		}
	}
	notes, err := s.cacheNotes()
	if err != nil {
		return nil, err
	}
	var image *Image
	for _, name := range append(b.Tag, "")[:max(1, len(b.Tag))] {
		if name != "" {
			ref, err := newName(name)
			if err != nil {
				return nil, err
			}
			name = ref.String()
		}
		if image, err = b.Store.putImageWith(s.config, s.blobs, name, notes); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// target is the stage to build: the last, or that of --target, by name or number.
func (b *builder) target() (*dockerfile.Stage, error) {
	stages := b.file.Stages
	if b.Target == "" {
		return stages[len(stages)-1], nil
	}
	if s := b.file.StageNamed(b.Target); s != nil {
		return s, nil
	}
	names := []string{}
	for i, s := range stages {
		if b.Target == fmt.Sprint(i) {
			return s, nil
		}
		names = append(names, cmp.Or(s.Name, fmt.Sprint(i)))
	}
	return nil, fmt.Errorf("--target %s: no stage has this name or number; there are %s", b.Target, strings.Join(names, ", "))
}

// needs are the stages that a stage builds on.
func (b *builder) needs(s *dockerfile.Stage) (list []*dockerfile.Stage) {
	if base, err := b.base(s); err == nil {
		if parent := b.file.Parent(s, base); parent != nil {
			list = append(list, parent)
		}
	}
	for _, in := range s.Steps {
		for _, ref := range in.Refs() {
			if from, err := b.file.StageFor(in, ref); err == nil && from != nil {
				list = append(list, from)
			}
		}
	}
	return list
}

// count is how many steps a stage and all that it needs have.
func (b *builder) count(target *dockerfile.Stage) int {
	seen, n := map[*dockerfile.Stage]bool{}, 0
	var visit func(s *dockerfile.Stage)
	visit = func(s *dockerfile.Stage) {
		if seen[s] {
			return
		}
		seen[s] = true
		n += 1 + len(s.Steps)
		for _, needed := range b.needs(s) {
			visit(needed)
		}
	}
	visit(target)
	return n
}

// base is the FROM of a stage with its variables replaced.
func (b *builder) base(s *dockerfile.Stage) (string, error) {
	base, err := dockerfile.Expand(s.Base, b.file.Escape, dockerfile.LookupIn(b.globals))
	if err == nil && base == "" {
		err = fmt.Errorf("FROM %s is empty when its variables are replaced", s.Base)
	}
	if err != nil {
		return "", s.From.ErrorAt(s.Base, "%v", err)
	}
	return base, nil
}

// stage builds a stage, once.
func (b *builder) stage(stage *dockerfile.Stage) (*stageBuild, error) {
	b.lock.Lock()
	s := b.done[stage]
	if s == nil {
		s = &stageBuild{Stage: stage, b: b, args: map[string]string{}}
		b.done[stage] = s
	}
	b.lock.Unlock()
	s.once.Do(func() {
		var needs errgroup.Group // side by side
		for _, needed := range b.needs(stage) {
			needs.Go(func() error {
				_, err := b.stage(needed)
				return err
			})
		}
		if s.err = needs.Wait(); s.err == nil {
			s.err = s.build()
		}
	})
	return s, s.err
}

// built is a stage that is built already.
func (b *builder) built(stage *dockerfile.Stage) *stageBuild {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.done[stage]
}

func (s *stageBuild) build() error {
	if err := s.do(s.From, s.from); err != nil {
		return err
	}
	triggers := s.config.Config.OnBuild
	s.config.Config.OnBuild = nil
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

// trigger is an instruction that the base has put off, with the stages that it needs built.
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

// do does one step, and says at which one something went wrong.
func (s *stageBuild) do(in *dockerfile.Instruction, what func(in *dockerfile.Instruction) error) error {
	if err := s.b.ctx.Err(); err != nil {
		return errors.New("the build was interrupted")
	}
	s.shown = s.b.show.Begin(s.label(), in.Text)
	if in.Name == "FROM" { // which is not looked up
		s.shown.Announce("")
	}
	err := what(in)
	s.shown.End(err)
	if err == nil {
		return nil
	}
	if place := (*dockerfile.Error)(nil); errors.As(err, &place) {
		return err
	}
	return in.ErrorAt("", "%v", err)
}

func (s *stageBuild) label() string {
	if s.Name != "" {
		return s.Name
	}
	if len(s.b.file.Stages) > 1 {
		return fmt.Sprintf("stage-%d", s.Index)
	}
	return ""
}

// from begins with an earlier stage, an image, or nothing.
func (s *stageBuild) from(in *dockerfile.Instruction) error {
	base, err := s.b.base(s.Stage)
	if err != nil {
		return err
	}
	if parent := s.b.file.Parent(s.Stage, base); parent != nil {
		p := s.b.built(parent)
		s.chain, s.base, s.at, s.missed, s.steps = p.chain, p.base, p.at, p.missed, slices.Clone(p.steps)
		s.config, s.blobs, s.args = p.config.clone(), slices.Clone(p.blobs), maps.Clone(p.args)
		return nil
	}
	if base == "scratch" {
		s.base = s.fromInputs(base, "nothing")
		s.config = newConfig()
		s.config.Platform = s.b.want
		s.config.Config.Env, s.config.Config.WorkingDir = []string{"PATH=" + defaultPath}, "/"
		return nil
	}
	platform, err := s.platform(in)
	if err != nil {
		return err
	}
	image, err := s.b.image(base, platform)
	if err != nil {
		return err
	}
	s.base = s.fromInputs(base, image.ID.String())
	s.config, s.blobs = image.Config.clone(), slices.Clone(image.Blobs)
	if !slices.ContainsFunc(s.config.Config.Env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		s.config.Config.Env = append(s.config.Config.Env, "PATH="+defaultPath)
	}
	return nil
}

// platform is what FROM --platform says, or the build's.
func (s *stageBuild) platform(in *dockerfile.Instruction) (ocispec.Platform, error) {
	text, err := dockerfile.Expand(in.Flag("platform"), s.b.file.Escape, dockerfile.LookupIn(s.b.globals))
	if err != nil || text == "" {
		return s.b.want, err
	}
	return parsePlatform(text)
}

// image gets an image that FROM or --from names.
func (b *builder) image(name string, platform ocispec.Platform) (*Image, error) {
	b.lock.Lock()
	key := name + " " + platformText(platform)
	got := b.images[key]
	if got == nil {
		got = &gotImage{}
		b.images = withKey(b.images, key, got)
	}
	b.lock.Unlock()
	got.once.Do(func() { got.image, got.err = b.getImage(name, platform) })
	return got.image, got.err
}

// getImage takes an image of the store, or pulls it.
func (b *builder) getImage(name string, platform ocispec.Platform) (*Image, error) {
	pull := "missing"
	if b.Pull {
		pull = "always"
	}
	c := &Container{Store: b.Store, ImageOptions: ImageOptions{Pull: pull, Insecure: b.Insecure, Platform: platformText(platform)}}
	here, err := b.Store.image(name)
	if err == nil && b.Platform != "" && (here.Config.OS != platform.OS || here.Config.Architecture != platform.Architecture) {
		here, err = nil, fmt.Errorf("%w: %q for %s", errNoImage, name, platformText(platform))
	}
	return c.obtain(name, here, err)
}

// clone copies a configuration, so that two stages can go on from it.
func (c ImageConfig) clone() ImageConfig {
	r := &c.Config
	r.Env, r.Cmd, r.Entrypoint, r.OnBuild, r.Shell = slices.Clone(r.Env), slices.Clone(r.Cmd), slices.Clone(r.Entrypoint), slices.Clone(r.OnBuild), slices.Clone(r.Shell)
	r.Labels, r.Volumes, r.ExposedPorts = maps.Clone(r.Labels), maps.Clone(r.Volumes), maps.Clone(r.ExposedPorts)
	c.RootFS.DiffIDs, c.History = slices.Clone(c.RootFS.DiffIDs), slices.Clone(c.History)
	return c
}

// variables are what an instruction may use. Of an ARG and an ENV with one name, the later
// one counts.
func (s *stageBuild) variables(name string) (string, bool) {
	if value, set := s.args[name]; set {
		return value, true
	}
	value, set := envMap(s.config.Config.Env)[name]
	return value, set
}

// instructions are what each of them does.
var instructions = map[string]func(s *stageBuild, in *dockerfile.Instruction) error{
	"ADD": (*stageBuild).copy, "COPY": (*stageBuild).copy, "RUN": (*stageBuild).run, "WORKDIR": (*stageBuild).workdir,
	"ARG": (*stageBuild).arg, "ENV": (*stageBuild).env, "LABEL": (*stageBuild).setLabel, "CMD": (*stageBuild).cmd,
	"ENTRYPOINT": (*stageBuild).entrypoint, "EXPOSE": (*stageBuild).expose, "VOLUME": (*stageBuild).volume,
	"USER": (*stageBuild).user, "STOPSIGNAL": (*stageBuild).stopsignal, "SHELL": (*stageBuild).shell,
	"HEALTHCHECK": (*stageBuild).healthcheck, "ONBUILD": (*stageBuild).onbuild, "MAINTAINER": (*stageBuild).maintainer,
}

func (s *stageBuild) instruction(in *dockerfile.Instruction) error {
	expanded, err := in.Expand(s.variables)
	if err != nil {
		return err
	}
	return s.cached(expanded, func() error { return instructions[in.Name](s, expanded) })
}

// note adds a step that changes no files to the history.
func (s *stageBuild) note(in *dockerfile.Instruction) {
	s.history(in, true)
}

// history adds a step, with the time at which it was made first.
func (s *stageBuild) history(in *dockerfile.Instruction, empty bool) {
	at := s.at
	s.config.Created = &at
	s.config.History = append(s.config.History, ocispec.History{Created: &at, CreatedBy: in.Text, EmptyLayer: empty})
}

func (s *stageBuild) arg(in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		value, set := s.b.args[pair.Name]
		switch {
		case set:
		case !pair.Bare:
			var err error
			if value, err = in.ExpandWord(pair.Value, s.variables); err != nil {
				return err
			}
			set = true
		default:
			if value, set = s.b.globals[pair.Name]; !set {
				value, set = s.b.native[pair.Name]
			}
		}
		if set {
			s.args[pair.Name] = value
		}
	}
	s.note(in)
	return nil
}

func (s *stageBuild) env(in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		if pair.Name == "" {
			return in.ErrorAt("", "ENV: a name that is empty")
		}
		s.config.Config.Env = setInPlace(s.config.Config.Env, pair.Name, pair.Value)
		delete(s.args, pair.Name)
	}
	s.note(in)
	return nil
}

// setInPlace sets a variable where it stands, or at the end.
func setInPlace(env []string, name, value string) []string {
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if i < 0 {
		return append(env, name+"="+value)
	}
	env[i] = name + "=" + value
	return env
}

func (s *stageBuild) setLabel(in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		s.config.Config.Labels = withKey(s.config.Config.Labels, pair.Name, pair.Value)
	}
	s.note(in)
	return nil
}

// shellWords are what runs a command in the shell form.
func (s *stageBuild) shellWords() []string {
	if len(s.config.Config.Shell) > 0 {
		return s.config.Config.Shell
	}
	return []string{"/bin/sh", "-c"}
}

// words are the command of an instruction, in either form.
func (s *stageBuild) words(in *dockerfile.Instruction) []string {
	if in.JSON {
		return in.Args
	}
	return append(slices.Clone(s.shellWords()), strings.Join(in.Args, " "))
}

func (s *stageBuild) cmd(in *dockerfile.Instruction) error {
	s.config.Config.Cmd, s.hasCmd = s.words(in), true
	//lint:ignore SA1019 BuildKit says so of every CMD, and no more than Windows heeds it
	s.config.Config.ArgsEscaped = true
	s.note(in)
	return nil
}

// entrypoint does away with a CMD of the base image, but not with one of this stage.
func (s *stageBuild) entrypoint(in *dockerfile.Instruction) error {
	s.config.Config.Entrypoint = s.words(in)
	if !s.hasCmd {
		s.config.Config.Cmd = nil
	}
	s.note(in)
	return nil
}

func (s *stageBuild) expose(in *dockerfile.Instruction) error {
	for _, text := range in.Args {
		ports, err := parsePorts(text)
		if err != nil {
			return in.ErrorAt(text, "EXPOSE %v", err)
		}
		for _, port := range ports {
			s.config.Config.ExposedPorts = withKey(s.config.Config.ExposedPorts, port, struct{}{})
		}
	}
	s.note(in)
	return nil
}

// parsePorts reads PORT or FROM-TO, with /tcp, /udp or /sctp. A port of the host's before it,
// as run -p has it, says nothing here.
func parsePorts(text string) ([]string, error) {
	ports, protocol, _ := strings.Cut(text[strings.LastIndexByte(text, ':')+1:], "/")
	protocol = cmp.Or(strings.ToLower(protocol), "tcp")
	from, to, ranged := strings.Cut(ports, "-")
	if !ranged {
		to = from
	}
	low, errLow := passwd.ParseID(from)
	high, errHigh := passwd.ParseID(to)
	if errLow != nil || errHigh != nil || low > high || high > 65535 || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return nil, fmt.Errorf("%s: give a port from 1 to 65535 or two with a dash between, and tcp, udp or sctp behind a slash", text)
	}
	var list []string
	for port := low; port <= high; port++ {
		list = append(list, fmt.Sprintf("%d/%s", port, protocol))
	}
	return list, nil
}

func (s *stageBuild) volume(in *dockerfile.Instruction) error {
	for _, target := range in.Args {
		if target == "" {
			return in.ErrorAt("", "VOLUME: a path is empty when its variables are replaced")
		}
		s.config.Config.Volumes = withKey(s.config.Config.Volumes, target, struct{}{})
	}
	s.note(in)
	return nil
}

func (s *stageBuild) user(in *dockerfile.Instruction) error {
	s.config.Config.User = in.Args[0]
	s.note(in)
	return nil
}

func (s *stageBuild) stopsignal(in *dockerfile.Instruction) error {
	if _, err := signals.Parse(in.Args[0]); err != nil {
		return in.ErrorAt(in.Args[0], "STOPSIGNAL %v", err)
	}
	s.config.Config.StopSignal = in.Args[0]
	s.note(in)
	return nil
}

func (s *stageBuild) shell(in *dockerfile.Instruction) error {
	s.config.Config.Shell = in.Args
	s.note(in)
	return nil
}

func (s *stageBuild) healthcheck(in *dockerfile.Instruction) error {
	s.config.Config.Healthcheck = (*Healthcheck)(in.Health)
	s.note(in)
	return nil
}

func (s *stageBuild) onbuild(in *dockerfile.Instruction) error {
	s.config.Config.OnBuild = append(s.config.Config.OnBuild, in.Args[0])
	s.note(in)
	return nil
}

func (s *stageBuild) maintainer(in *dockerfile.Instruction) error {
	s.config.Author = strings.Join(in.Args, " ")
	s.note(in)
	return nil
}

// workdir names the directory for what follows, and makes it. It is the user's, if there is
// such a user.
func (s *stageBuild) workdir(in *dockerfile.Instruction) error {
	dir := s.enter(in)
	who, err := s.ownerNamed(s.config.Config.User)
	if err != nil {
		who = owner{}
	}
	return s.layer(in, func(w *writer) error { return w.mkdirs(path.Clean(dir), who) })
}

// enter names the directory of a WORKDIR, which may be relative to the one before.
func (s *stageBuild) enter(in *dockerfile.Instruction) string {
	dir := in.Args[0]
	if !path.IsAbs(dir) {
		dir = path.Join("/", s.config.Config.WorkingDir, dir)
	}
	s.config.Config.WorkingDir = dir
	return dir
}

// dirs are the layers of the stage, the lowest first.
func (s *stageBuild) dirs() ([]string, error) {
	dirs, err := s.b.Store.dirs(&Image{Config: s.config})
	if err == nil && len(dirs) == 0 {
		return s.b.Store.nothing()
	}
	return dirs, err
}

// layer makes a layer of what write writes; if that is nothing, there is none.
func (s *stageBuild) layer(in *dockerfile.Instruction, write func(w *writer) error) error {
	if s.hit != nil {
		return s.reuse(in)
	}
	dirs, err := s.dirs()
	if in.Flag("link") == "true" && in.Flag("chmod") == "" { // the layer is to be the same, whatever is below
		dirs, err = s.b.Store.nothing()
	}
	if err != nil {
		return err
	}
	build, err := os.MkdirTemp(s.b.Store.path("images/partial"), "layer-*")
	if err != nil {
		return err
	}
	w, err := newWriter(build, dirs)
	if err == nil {
		err = errors.Join(write(w), w.close())
	}
	if err != nil {
		return errors.Join(err, s.b.Store.dropLayer(build))
	}
	return s.adopt(in, build)
}

// adopt makes a directory that was filled the stage's next layer. It is moved, not copied,
// and its tar is only hashed: who wants the blob, makes it then.
func (s *stageBuild) adopt(in *dockerfile.Instruction, build string) error {
	dirs, err := s.dirs()
	slices.Reverse(dirs)
	if err == nil {
		err = dropSame(build, dirs)
	}
	names, errRead := os.ReadDir(build)
	if err = errors.Join(err, errRead); err != nil {
		return errors.Join(err, s.b.Store.dropLayer(build))
	}
	if len(names) == 0 {
		s.note(in)
		return s.b.Store.dropLayer(build)
	}
	var packed layer.Sum
	if err = inheritOwners(build, dirs); err == nil {
		packed, err = packLayer(io.Discard, build, build+layer.OwnersSuffix)
	}
	if err != nil {
		return errors.Join(err, s.b.Store.dropLayer(build))
	}
	if err := s.b.Store.keepLayer(build, packed.DiffID); err != nil {
		return err
	}
	s.add(in, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: packed.DiffID, Size: packed.Bytes})
	return nil
}

// inheritOwners writes beside a layer, for an ordinary user, what stands beside those below
// about files that it has too. The layer is packed by its own notes when a blob is wanted.
func inheritOwners(build string, below []string) error {
	if hasMany() { // the files themselves have their owners
		return nil
	}
	return layer.InheritOwners(build, ownersOf(below)...)
}

func (s *stageBuild) add(in *dockerfile.Instruction, layer ocispec.Descriptor) {
	s.config.RootFS.DiffIDs = append(s.config.RootFS.DiffIDs, digest.Digest(layer.Digest))
	s.blobs = append(s.blobs, layer)
	s.history(in, false)
}
