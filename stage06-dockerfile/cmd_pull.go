// The commands pull and push, and the limits on unpacking a layer, which load and import have too.

package main

import (
	"fmt"
	"os"
	"strings"

	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
)

type pullCmd struct {
	Name     string `arg:"" name:"image" help:"Name of the image, such as alpine, user/app:1.2 or localhost:5000/app."`
	Platform string `help:"Platform of the image, such as linux/arm64 or linux/arm/v6 (default: the host's)." placeholder:"OS/ARCH"`
	Quiet    bool   `short:"q" help:"Print only the name."`

	registrycli.Remote

	Store Store `embed:""`

	layer.LimitFlags
}

// Run is `box pull`.
func (c *pullCmd) Run() error {
	ctx, stop := interrupt.Context()
	defer stop()
	ref, err := registry.ParseReference(c.Name)
	if err != nil {
		return err
	}
	show := progress.New(os.Stderr, c.Quiet, c.Explain)
	if err := c.Store.setLimits(c.LimitFlags); err != nil {
		return err
	}
	image, err := c.Store.pull(ctx, ref, c.Platform, c.Remote, show)
	show.Finish()
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref.Familiar(), err)
	}
	if !c.Quiet {
		_, origin, _ := strings.Cut(image.Origins[0], "@")
		fmt.Println("Digest: " + origin)
	}
	_, err = fmt.Println(ref.String())
	return err
}

type pushCmd struct {
	Name  string `arg:"" name:"image" help:"The image. Its name says where it is pushed: localhost:5000/app, user/app:1.2."`
	Quiet bool   `short:"q" help:"Print only the name."`

	registrycli.Remote

	Store Store `embed:""`
}

// Run is `box push`.
func (c *pushCmd) Run() error {
	ctx, stop := interrupt.Context()
	defer stop()
	ref, err := registry.ParseReference(c.Name)
	if err != nil {
		return err
	}
	if err := ref.CheckPush(); err != nil {
		return err
	}
	show := progress.New(os.Stderr, c.Quiet, c.Explain)
	manifest, err := c.Store.push(ctx, ref, c.Remote, show)
	show.Finish()
	if err != nil {
		return fmt.Errorf("push %s: %w", ref.Familiar(), err)
	}
	if !c.Quiet {
		fmt.Printf("%s: digest: %s size: %d\n", ref.Tag, manifest.Digest, manifest.Size)
	}
	_, err = fmt.Println(ref.String())
	return err
}

// setLimits makes these the limits of what is unpacked next.
func (s *Store) setLimits(l layer.LimitFlags) error {
	s.limits = l
	return l.SetWindow()
}
