// Package configure changes the configuration of an image as the instructions of a Dockerfile do that
// write no files: ENV, CMD, EXPOSE and the others (the Dockerfile reference). Apply is for a step of a
// build, once its variables are replaced, and Args for an ARG, which changes only what later steps see;
// Options are the flag --change of commands that change an image
// without a build. The lesson reads Apply.
package configure

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/labels"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/dockerfile"
)

// Apply does an instruction. ownCmd is whether an earlier one was a CMD: an ENTRYPOINT removes only the
// CMD of the base image.
func Apply(config *oci.Config, in *dockerfile.Instruction, ownCmd bool) error {
	run := &config.Config
	switch in.Name {
	case "CMD":
		run.Cmd, run.ArgsEscaped = words(run, in), true // as BuildKit; only Windows reads the latter
	case "ENTRYPOINT":
		run.Entrypoint = words(run, in)
		if !ownCmd {
			run.Cmd = nil
		}
	case "ENV":
		return env(run, in)
	case "EXPOSE":
		return expose(run, in)
	case "HEALTHCHECK":
		run.Healthcheck = (*oci.Healthcheck)(in.Health)
	case "LABEL":
		for _, pair := range in.Pairs {
			set(&run.Labels, pair.Name, pair.Value)
		}
	case "MAINTAINER":
		config.Author = strings.Join(in.Args, " ")
	case "ONBUILD":
		run.OnBuild = append(run.OnBuild, in.Args[0])
	case "SHELL":
		run.Shell = in.Args
	case "STOPSIGNAL":
		return stopSignal(run, in)
	case "USER":
		run.User = in.Args[0]
	case "VOLUME":
		return volume(run, in)
	default:
		return fmt.Errorf("%s does more than to change the configuration", in.Name)
	}
	return nil
}

// Args does an ARG: it sets the variables that the instruction declares. A value that the caller of the
// build has given wins over the default in the instruction, whose own variables get looks up; without
// both, the first of others that has the name counts.
func Args(args map[string]string, in *dockerfile.Instruction, get dockerfile.Lookup,
	given map[string]string, others ...map[string]string) (err error) {
	for _, pair := range in.Pairs {
		value, set := given[pair.Name]
		if !set && !pair.Bare {
			if value, err = in.ExpandWord(pair.Value, get); err != nil {
				return err
			}
			set = true
		}
		for _, values := range others {
			if !set {
				value, set = values[pair.Name]
			}
		}
		if set {
			args[pair.Name] = value
		}
	}
	return nil
}

// Labels sets the labels of --label.
func Labels(config *oci.Config, flags []string) error {
	list, err := labels.Read(nil, flags)
	config.Config.Labels = maps.Clone(config.Config.Labels) // an earlier stage may have the same
	for name, value := range labels.Map(list) {
		set(&config.Config.Labels, name, value)
	}
	return err
}

// Shell returns the shell that runs a command in the shell form.
func Shell(run oci.RunConfig) []string {
	if len(run.Shell) > 0 {
		return slices.Clone(run.Shell)
	}
	return []string{"/bin/sh", "-c"}
}

// Enter sets the directory of a WORKDIR, which may be relative to the one before, and returns it. It
// makes no directory.
func Enter(config *oci.Config, in *dockerfile.Instruction) string {
	dir := in.Args[0]
	if !path.IsAbs(dir) {
		dir = path.Join("/", config.Config.WorkingDir, dir)
	}
	config.Config.WorkingDir = dir
	return dir
}

// words returns the command of an instruction, in either form.
func words(run *oci.RunConfig, in *dockerfile.Instruction) []string {
	if in.JSON {
		return in.Args
	}
	return append(Shell(*run), strings.Join(in.Args, " "))
}

func env(run *oci.RunConfig, in *dockerfile.Instruction) error {
	for _, pair := range in.Pairs {
		if pair.Name == "" {
			return in.ErrorAt("", "ENV: a name that is empty")
		}
		run.Env = dockerfile.SetEnv(run.Env, pair.Name, pair.Value)
	}
	return nil
}

func expose(run *oci.RunConfig, in *dockerfile.Instruction) error {
	for _, text := range in.Args {
		ports, err := dockerfile.ParsePorts(text)
		if err != nil {
			return in.ErrorAt(text, "EXPOSE %v", err)
		}
		for _, port := range ports {
			set(&run.ExposedPorts, port, struct{}{})
		}
	}
	return nil
}

func stopSignal(run *oci.RunConfig, in *dockerfile.Instruction) error {
	if _, err := signals.Parse(in.Args[0]); err != nil {
		return in.ErrorAt(in.Args[0], "STOPSIGNAL %v", err)
	}
	run.StopSignal = in.Args[0]
	return nil
}

func volume(run *oci.RunConfig, in *dockerfile.Instruction) error {
	for _, target := range in.Args {
		if target == "" {
			return in.ErrorAt("", "VOLUME: a path is empty when its variables are replaced")
		}
		set(&run.Volumes, target, struct{}{})
	}
	return nil
}

// set sets a key of a map, which may be nil.
func set[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}
