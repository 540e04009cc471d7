// The flags of a build about the cache, and what they print. cache.go has what --cache-from and
// --cache-to do.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage07-cache/buildpicture"
)

// CacheOptions are the flags of a build about the cache.
type CacheOptions struct {
	NoCacheFilter []string `help:"Do not use the build cache for these stages." placeholder:"STAGE"`
	CacheFrom     []string `help:"Image built with --cache-to, to use as a cache." placeholder:"IMAGE" sep:"none"`
	CacheTo       string   `help:"Export the cache; inline records in the image's manifest which step made which layer." placeholder:"inline"`
	ExplainCache  bool     `help:"Print everything that each step depends on."`
	Picture       string   `help:"After the build, draw which steps came from the cache, as text or svg." enum:",text,svg" default:"" placeholder:"text|svg"`
}

// checkCacheOptions checks the flags that are more than words.
func (b *builder) checkCacheOptions() error {
	if b.CacheTo != "" && b.CacheTo != "inline" && b.CacheTo != "type=inline" {
		return fmt.Errorf("--cache-to %s: there is inline, which writes into the image", b.CacheTo)
	}
	if b.Picture != "" && b.outputs.ToStdout() {
		return errors.New("--picture is on standard output, and so is an --output: add dest=FILE to that")
	}
	for _, name := range b.NoCacheFilter {
		called := func(s *dockerfile.Stage) bool { return s.IsCalled(name) }
		if !slices.ContainsFunc(b.file.Stages, called) {
			return fmt.Errorf("--no-cache-filter %s: no stage has this name or number", name)
		}
	}
	return nil
}

// picture draws the stages that were built, as text or SVG.
func (b *builder) picture(form string) string {
	stages := b.done.All()
	slices.SortFunc(stages, func(a, b *stageBuild) int { return a.Index - b.Index })
	var list []buildpicture.Stage
	for _, s := range stages {
		list = append(list, buildpicture.Stage{Name: cmp.Or(s.b.file.Label(s.Stage), "the image"), Steps: s.pictureSteps})
	}
	if form == "svg" {
		return buildpicture.SVG(list)
	}
	return buildpicture.Text(list)
}
