// What the instructions of a Dockerfile do, once package dockerfile has parsed them. Most change
// only the configuration of the stage (package configure); each is noted in the history. The
// others make a layer: RUN is in buildrun.go, COPY and ADD are in copy.go.

package main

import (
	"path"

	"stagebox/stage05-images/ocispec"
	"stagebox/stage06-dockerfile/configure"
	"stagebox/stage06-dockerfile/copyup"
	"stagebox/stage06-dockerfile/dockerfile"
)

// layerInstructions are those that make a layer.
var layerInstructions = map[string]func(s *stageBuild, in *dockerfile.Instruction) error{
	"ADD": (*stageBuild).copy, "COPY": (*stageBuild).copy,
	"RUN": (*stageBuild).run, "WORKDIR": (*stageBuild).workdir,
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
	if err := s.configure(in); err != nil {
		return err
	}
	s.history(in, true)
	return nil
}

// configure does an instruction that writes no files. An ENV hides the ARG of its name.
func (s *stageBuild) configure(in *dockerfile.Instruction) error {
	switch in.Name {
	case "ARG":
		return configure.Args(s.args, in, s.variables, s.b.args, s.b.globals, s.b.native)
	case "CMD":
		s.hasCmd = true
	case "ENV":
		for _, pair := range in.Pairs {
			delete(s.args, pair.Name)
		}
	}
	return configure.Apply(&s.config, in, s.hasCmd)
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

// workdir sets the directory for the instructions that follow, and makes it. It belongs to the
// USER, if there is such a user.
func (s *stageBuild) workdir(in *dockerfile.Instruction) error {
	dir := configure.Enter(&s.config, in)
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

// withKey sets a key of a map, which may be nil.
func withKey[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}
