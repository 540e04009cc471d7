package configure

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/dockerfile"
)

// Options is the flag --change, whose values are instructions: one or several lines each.
type Options struct {
	Change []string `short:"c" help:"Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR." sep:"none" placeholder:"INSTRUCTION"`
}

// changeable are the instructions that Docker allows there: those that need no build.
var changeable = []string{"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD",
	"STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}

// Apply changes a configuration, and nothing of it if one of the changes is wrong. The history stays:
// no step was made.
func (o Options) Apply(config *oci.Config) error {
	changed, ownCmd := config.Clone(), false
	for _, text := range o.Change {
		list, err := dockerfile.ParseInstructions(text)
		for _, in := range list {
			if err == nil {
				err = change(&changed, in, ownCmd)
			}
			ownCmd = ownCmd || in.Name == "CMD"
		}
		if err != nil {
			return fmt.Errorf("--change %q: %w", text, err)
		}
	}
	config.Config = changed.Config
	return nil
}

// change applies one instruction, with its variables replaced by those of the configuration.
func change(config *oci.Config, in *dockerfile.Instruction, ownCmd bool) error {
	if !slices.Contains(changeable, in.Name) {
		last := len(changeable) - 1
		return errors.New("there are " + strings.Join(changeable[:last], ", ") + " and " + changeable[last])
	}
	in, err := in.Expand(func(name string) (string, bool) {
		value, set := dockerfile.EnvMap(config.Config.Env)[name]
		return value, set
	})
	if err != nil {
		return err
	}
	if in.Name == "WORKDIR" { // a container makes the directory, if it is missing
		Enter(config, in)
		return nil
	}
	return Apply(config, in, ownCmd)
}
