// What the instructions of a Dockerfile do, once package dockerfile has parsed them. Most change
// the configuration of the stage; each has a method below, and is noted in the history. The others
// make a layer: RUN is in buildrun.go, COPY and ADD are in copy.go.

package main

import (
	"path"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/signals"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/dockerfile"
)

// layerInstructions are those that make a layer.
var layerInstructions = map[string]func(s *stageBuild, in *dockerfile.Instruction) error{
	"ADD": (*stageBuild).copy, "COPY": (*stageBuild).copy,
	"RUN": (*stageBuild).run, "WORKDIR": (*stageBuild).workdir,
}

// instructions are those that change only the configuration.
var instructions = map[string]func(s *stageBuild, in *dockerfile.Instruction) error{
	"ARG": (*stageBuild).arg, "ENV": (*stageBuild).env, "LABEL": (*stageBuild).setLabel,
	"CMD": (*stageBuild).cmd, "ENTRYPOINT": (*stageBuild).entrypoint,
	"EXPOSE": (*stageBuild).expose, "VOLUME": (*stageBuild).volume,
	"USER": (*stageBuild).user, "STOPSIGNAL": (*stageBuild).stopsignal,
	"SHELL": (*stageBuild).shell, "HEALTHCHECK": (*stageBuild).healthcheck,
	"ONBUILD": (*stageBuild).onbuild, "MAINTAINER": (*stageBuild).maintainer,
}

// instruction does an instruction, with its variables replaced.
func (s *stageBuild) instruction(in *dockerfile.Instruction) error {
	expanded, err := in.Expand(s.variables)
	if err != nil {
		return err
	}
	return s.runOrReuse(expanded, s.apply)
}

// apply does an instruction whose variables were replaced.
func (s *stageBuild) apply(in *dockerfile.Instruction) error {
	if makeLayer := layerInstructions[in.Name]; makeLayer != nil {
		return makeLayer(s, in)
	}
	if err := instructions[in.Name](s, in); err != nil {
		return err
	}
	s.history(in, true)
	return nil
}

// variables looks up what an instruction may use. Of an ARG and an ENV with the same name, the
// later one counts.
func (s *stageBuild) variables(name string) (string, bool) {
	if value, set := s.args[name]; set {
		return value, true
	}
	value, set := dockerfile.EnvMap(s.config.Config.Env)[name]
	return value, set
}

// history adds a step to the history, with the time at which it was made.
func (s *stageBuild) history(in *dockerfile.Instruction, empty bool) {
	at := s.at
	if s.b.epoch != nil {
		at = *s.b.epoch
	}
	s.config.Created = &at
	step := ocispec.History{Created: &at, CreatedBy: in.Whole(), EmptyLayer: empty}
	s.config.History = append(s.config.History, step)
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
	return nil
}

func (s *stageBuild) env(in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		if pair.Name == "" {
			return in.ErrorAt("", "ENV: a name that is empty")
		}
		s.config.Config.Env = dockerfile.SetEnv(s.config.Config.Env, pair.Name, pair.Value)
		delete(s.args, pair.Name)
	}
	return nil
}

func (s *stageBuild) setLabel(in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		s.config.Config.Labels = withKey(s.config.Config.Labels, pair.Name, pair.Value)
	}
	return nil
}

// shellWords is the shell that runs a command in the shell form.
func (s *stageBuild) shellWords() []string {
	if len(s.config.Config.Shell) > 0 {
		return s.config.Config.Shell
	}
	return []string{"/bin/sh", "-c"}
}

// words returns the command of an instruction, in either form.
func (s *stageBuild) words(in *dockerfile.Instruction) []string {
	if in.JSON {
		return in.Args
	}
	return append(slices.Clone(s.shellWords()), strings.Join(in.Args, " "))
}

func (s *stageBuild) cmd(in *dockerfile.Instruction) error {
	s.config.Config.Cmd, s.hasCmd = s.words(in), true
	// BuildKit sets this for every CMD; only Windows reads it.
	s.config.Config.ArgsEscaped = true
	return nil
}

// entrypoint removes a CMD of the base image, but not one of this stage.
func (s *stageBuild) entrypoint(in *dockerfile.Instruction) error {
	s.config.Config.Entrypoint = s.words(in)
	if !s.hasCmd {
		s.config.Config.Cmd = nil
	}
	return nil
}

func (s *stageBuild) expose(in *dockerfile.Instruction) error {
	for _, text := range in.Args {
		ports, err := dockerfile.ParsePorts(text)
		if err != nil {
			return in.ErrorAt(text, "EXPOSE %v", err)
		}
		for _, port := range ports {
			exposed := &s.config.Config.ExposedPorts
			*exposed = withKey(*exposed, port, struct{}{})
		}
	}
	return nil
}

func (s *stageBuild) volume(in *dockerfile.Instruction) error {
	for _, target := range in.Args {
		if target == "" {
			return in.ErrorAt("", "VOLUME: a path is empty when its variables are replaced")
		}
		s.config.Config.Volumes = withKey(s.config.Config.Volumes, target, struct{}{})
	}
	return nil
}

func (s *stageBuild) user(in *dockerfile.Instruction) error {
	s.config.Config.User = in.Args[0]
	return nil
}

func (s *stageBuild) stopsignal(in *dockerfile.Instruction) error {
	if _, err := signals.Parse(in.Args[0]); err != nil {
		return in.ErrorAt(in.Args[0], "STOPSIGNAL %v", err)
	}
	s.config.Config.StopSignal = in.Args[0]
	return nil
}

func (s *stageBuild) shell(in *dockerfile.Instruction) error {
	s.config.Config.Shell = in.Args
	return nil
}

func (s *stageBuild) healthcheck(in *dockerfile.Instruction) error {
	s.config.Config.Healthcheck = (*oci.Healthcheck)(in.Health)
	return nil
}

func (s *stageBuild) onbuild(in *dockerfile.Instruction) error {
	s.config.Config.OnBuild = append(s.config.Config.OnBuild, in.Args[0])
	return nil
}

func (s *stageBuild) maintainer(in *dockerfile.Instruction) error {
	s.config.Author = strings.Join(in.Args, " ")
	return nil
}

// workdir sets the directory for the instructions that follow, and makes it. It belongs to the
// USER, if there is such a user.
func (s *stageBuild) workdir(in *dockerfile.Instruction) error {
	dir := s.enter(in)
	who, err := s.ownerNamed(s.config.Config.User)
	if err != nil {
		who = copyup.Owner{}
	}
	return s.layer(in, func(w *copyup.Writer) error {
		made, err := w.Resolve(path.Clean(dir), true, who)
		if err == nil && s.b.epoch != nil {
			err = w.Date(made, *s.b.epoch)
		}
		return err
	})
}

// enter sets the directory of a WORKDIR, which may be relative to the one before.
func (s *stageBuild) enter(in *dockerfile.Instruction) string {
	dir := in.Args[0]
	if !path.IsAbs(dir) {
		dir = path.Join("/", s.config.Config.WorkingDir, dir)
	}
	s.config.Config.WorkingDir = dir
	return dir
}

// withKey sets a key of a map, which may be nil.
func withKey[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}
