// The commands pull and push, the flags for connections to registries, and the limits on unpacking a
// layer, which load and import have too.

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
)

// Remote are the flags for the connection to a registry.
type Remote struct {
	Explain  bool `help:"Show each request and its response." group:"Registry:"`
	Insecure bool `help:"Plain HTTP, or HTTPS with any certificate." group:"Registry:"`
}

// dial returns a client of a registry, which makes no connection yet.
func (r Remote) dial(host string) (*registry.Client, error) {
	client, err := registry.New(host, r.Insecure)
	if err != nil {
		return nil, err
	}
	client.Warn = func(err error) { complain(fmt.Errorf("warning: %w", err)) }
	if r.Explain {
		client.Trace = func(e registry.Exchange) { fmt.Fprintln(os.Stderr, e) }
	}
	return client, nil
}

type pullCmd struct {
	Name     string `arg:"" name:"image" help:"Such as alpine, user/app:1.2 or localhost:5000/app."`
	Platform string `help:"Another than this machine's: linux/arm64, linux/arm/v6." placeholder:"OS/ARCH"`
	Quiet    bool   `short:"q" help:"Print nothing but the name."`

	Remote

	Store

	LayerLimits
}

// interruptible returns a context that ends with Ctrl-C, or when the output of box is not read: then
// stop, which comes after all that cleans up, ends box with the status of SIGPIPE.
func interruptible() (ctx context.Context, stop func()) {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, unix.SIGPIPE) // for a connection to a registry too
	go func() {
		for range pipes {
			if plan.OutputIsClosed() {
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(pipes)
		if ctx.Err() != nil && plan.OutputIsClosed() {
			os.Exit(128 + int(unix.SIGPIPE))
		}
		cancel()
	}
}

// Run is `box pull`.
func (c *pullCmd) Run() error {
	ctx, stop := interruptible()
	defer stop()
	ref, err := registry.ParseReference(c.Name)
	if err != nil {
		return err
	}
	show := progress.New(os.Stderr, c.Quiet, c.Explain)
	if err := c.Store.setLimits(c.LayerLimits); err != nil {
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
	Name  string `arg:"" name:"image" help:"Its name says where to: localhost:5000/app, user/app:1.2."`
	Quiet bool   `short:"q" help:"Print nothing but the name."`

	Remote

	Store
}

// Run is `box push`.
func (c *pushCmd) Run() error {
	ctx, stop := interruptible()
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

// LayerLimits are the limits for a layer, against archives that are small and endless when they are
// unpacked.
type LayerLimits struct {
	MaxLayerSize  units.Size `help:"How large a layer may be when it is unpacked; 0 or -1 for any size." default:"64g" placeholder:"SIZE" group:"Layers:"`
	MaxLayerFiles int64      `help:"How many files and directories a layer may have; 0 or -1 for any number." default:"4000000" placeholder:"N" group:"Layers:"`

	MaxLayerWindow units.Size `help:"How much memory a layer that is compressed with zstd may ask for, at most 2g." default:"128m" placeholder:"SIZE" group:"Layers:"`
}

// setLimits makes these the limits of what is unpacked next.
func (s *Store) setLimits(l LayerLimits) error {
	if l.MaxLayerWindow < 1<<10 || l.MaxLayerWindow > 2<<30 {
		return fmt.Errorf("--max-layer-window %s: give 1k to 2g", units.FormatSize(int64(l.MaxLayerWindow)))
	}
	s.limits, layer.MaxWindow = l, uint64(l.MaxLayerWindow)
	return nil
}

// AfterApply takes 0, which elsewhere is no limit, for -1: limits that were not given are 0 too.
func (l *LayerLimits) AfterApply() error {
	if l.MaxLayerSize == 0 {
		l.MaxLayerSize = -1
	}
	if l.MaxLayerFiles == 0 {
		l.MaxLayerFiles = -1
	}
	return nil
}

// check is a layer.Limit.
func (l LayerLimits) check(bytes, files int64) error { return l.checkOf("layer", bytes, files) }

// checkOf does the same for another thing than a layer. As unsigned numbers, -1 and a count that has
// overflowed are larger than any other.
func (l LayerLimits) checkOf(what string, bytes, files int64) error {
	if uint64(bytes) > uint64(l.MaxLayerSize) {
		return fmt.Errorf("the %s is larger than %s: if you trust it, allow more with --max-layer-size",
			what, units.FormatSize(int64(l.MaxLayerSize)))
	}
	if uint64(files) > uint64(l.MaxLayerFiles) {
		return fmt.Errorf("the %s has more than %d files and directories: if you trust it, allow more with --max-layer-files",
			what, l.MaxLayerFiles)
	}
	return nil
}
