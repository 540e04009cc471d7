// commit --change and import --change: instructions of a Dockerfile that change the
// configuration of an image outside a build. They are parsed, expanded and applied as in a
// build, on a stage that has a configuration and nothing else.

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/dockerfile"
)

// ChangeOptions is the flag of commit and import.
type ChangeOptions struct {
	Change []string `short:"c" help:"Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR." sep:"none" placeholder:"INSTRUCTION"`
}

// changeable are the instructions that Docker allows there: those that need no build.
var changeable = []string{"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD",
	"STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}

// applyChanges changes a configuration, and nothing of it if one of the changes is wrong.
func applyChanges(config *oci.Config, changes []string) error {
	s := &stageBuild{config: config.Clone()}
	for _, text := range changes {
		list, err := dockerfile.ParseInstructions(text)
		for _, in := range list {
			if err == nil {
				err = s.change(in)
			}
		}
		if err != nil {
			return fmt.Errorf("--change %q: %w", text, err)
		}
	}
	config.Config = s.config.Config // the history stays: no step was made
	return nil
}

// change applies one instruction.
func (s *stageBuild) change(in *dockerfile.Instruction) error {
	if !slices.Contains(changeable, in.Name) {
		last := len(changeable) - 1
		return errors.New("there are " + strings.Join(changeable[:last], ", ") + " and " + changeable[last])
	}
	in, err := in.Expand(s.variables)
	if err != nil {
		return err
	}
	if in.Name == "WORKDIR" { // a container makes the directory, if it is missing
		s.enter(in)
		return nil
	}
	return instructions[in.Name](s, in)
}
