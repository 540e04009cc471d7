// Package bases knows what the FROM of a stage starts from, apart from another stage: which platform
// its image must be for, whether its name can be one, and the configuration that the stage begins with.
// The caller finds and pulls the image. The lesson reads Scratch and Config.
package bases

import (
	"slices"
	"strings"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
	"stagebox/stage06-dockerfile/dockerfile"
)

// Check checks the platforms and the names of the images of all stages, also of those that are not
// needed. warned means that the checks of the file are to run, which warn of a name that is not
// valid: Check then returns no error for it.
func Check(f *dockerfile.File, globals map[string]string, want ocispec.Platform, warned bool) error {
	for _, s := range f.Stages {
		if _, err := Platform(f, s.From, globals, want); err != nil {
			return err
		}
		base, err := f.BaseOf(s, globals)
		if err == nil && base != "scratch" && f.Parent(s, base) == nil {
			if _, err = registry.ParseReference(base); err != nil {
				err = s.From.ErrorAt(s.Base, "%v", err)
			}
		}
		if err != nil && !warned {
			return err
		}
	}
	return nil
}

// Platform returns the platform of FROM --platform, or else the build's, which is want.
func Platform(f *dockerfile.File, from *dockerfile.Instruction, globals map[string]string, want ocispec.Platform) (ocispec.Platform, error) {
	text, err := f.PlatformOf(from, globals)
	if err == nil && text != "" {
		want, err = registry.ParsePlatform(text)
	}
	if err != nil {
		err = from.ErrorAt("--platform", "--platform=%s: %v", from.Flag("platform"), err)
	}
	return want, err
}

// Scratch is the configuration of a stage that starts from nothing.
func Scratch(p ocispec.Platform) oci.Config {
	config := oci.NewConfig()
	config.Platform, config.Created = p, nil // no step, no time: as BuildKit has it
	config.Config.Env, config.Config.WorkingDir = []string{"PATH=" + plan.DefaultPath}, "/"
	return config
}

// Config is the configuration of a stage that starts from an image: the image's, with a PATH.
func Config(image *oci.Image) oci.Config {
	config := image.Config.Clone()
	isPath := func(v string) bool { return strings.HasPrefix(v, "PATH=") }
	if !slices.ContainsFunc(config.Config.Env, isPath) {
		config.Config.Env = append(config.Config.Env, "PATH="+plan.DefaultPath)
	}
	return config
}
