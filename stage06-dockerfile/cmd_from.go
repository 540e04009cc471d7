// The flags of box run that are about the image.

package main

import (
	"fmt"
	"slices"

	"stagebox/stage05-images/layer"
)

// ImageOptions are the flags for the image that a container is made of.
type ImageOptions struct {
	Entrypoint *string `help:"Program to run instead of the image's entrypoint; the words after the image are its arguments." placeholder:"PROGRAM" group:"Program:"`
	StopSignal string  `help:"Signal that stop sends first (default: the image's, or TERM)." placeholder:"SIGNAL" group:"Program:"`
	Pull       string  `help:"When to pull the image: always, missing, never." enum:"always,missing,never" default:"missing" group:"Registry:"`
	Platform   string  `help:"Platform of the image, such as linux/arm64 (default: the host's)." placeholder:"OS/ARCH" group:"Registry:"`
	Insecure   bool    `help:"Allow plain HTTP, and HTTPS with any certificate." group:"Registry:"`

	layer.LimitFlags `json:"-"`

	Quiet bool `short:"q" json:"-" help:"Do not show that and how the image is pulled." group:"Registry:"`
}

// Help is a part of box run --help.
func (*Container) Help() string {
	return "The first word names an image, which is pulled if it is missing; the rest is the command to run in it. " +
		"A first word that begins with / or . is the path of a program of this host. " +
		"With --rootfs or --layer, all words are the command."
}

// rejectImageFlags refuses the flags that say nothing about a container that is made of no image.
func (c *Container) rejectImageFlags() error {
	for _, flag := range c.given {
		if slices.Contains([]string{"--entrypoint", "--pull", "--platform", "--insecure", "--quiet",
			"--max-layer-size", "--max-layer-files", "--max-layer-window"}, flag) {
			return fmt.Errorf("%s is for an image: name one before the command, without --rootfs and --layer", flag)
		}
	}
	return nil
}
