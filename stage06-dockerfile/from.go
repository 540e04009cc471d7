// box run IMAGE: what the first word names, and how an image's configuration and the flags make a
// container together. A flag wins over the image. Container.merge combines the two; for variables,
// see also Container.environment in cmd_process.go.
//
// Read on in layout.go and oci/image.go, by which an image is kept and read; layers.go and
// layer/unpack.go, which unpack a layer; pull.go and, in package registry, reference.go,
// registry.go, which gets a manifest, auth.go, and dockerconfig.go, which looks a password up.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/hostinfo"
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/tiny"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/labels"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
)

// fromImage makes a container's root from the image that the first word of its command names. A
// word that begins with / or . is a program of the host. Every other word is an image, even when
// the store is damaged. The layers are kept until done is called: by then the record names them.
func (c *Container) fromImage() (done func() error, err error) {
	// An image's signal is not checked: see stopSignal.
	if err := signals.Check("--stop-signal", c.StopSignal); err != nil {
		return nil, err
	}
	if err := c.pullMounted(); err != nil {
		return nil, err
	}
	words := c.Command.argv()
	isOwn := c.Pull == "" // box's own use of a program
	if c.Rootfs != "" || len(c.Layer) > 0 || isOwn || isPath(words[0]) {
		return func() error { return nil }, c.rejectImageFlags()
	}
	if done, err = c.Store.using(); err != nil {
		return nil, err
	}
	here, errHere := c.Store.layout().Find(words[0])
	image, err := c.obtain(words[0], here, errHere)
	switch {
	case err == nil:
		err = c.useImage(words, image)
	case isTiny(words[0]) || errors.As(err, new(*fs.PathError)): // an image, or the disk has failed
	case errors.Is(errHere, oci.ErrNoImage):
		err = fmt.Errorf("%w\n     a program of this host is named by its path, such as %s",
			c.Store.layout().Meant(words[0], err), hostinfo.Program(words[0]))
	}
	if err != nil {
		return nil, errors.Join(err, done())
	}
	return done, nil
}

func (c *Container) useImage(words []string, image *oci.Image) error {
	dirs, err := c.Store.layers().Root(image)
	if err != nil {
		return err
	}
	c.Rootfs, c.Layer = dirs[0], dirs[1:]
	c.source, c.imageName = image, words[0]
	return c.merge(words[1:], image.Config.Config)
}

// isPath reports whether a word is the path of a program of the host. No name of an image begins
// with / or a dot.
func isPath(word string) bool {
	return strings.HasPrefix(word, "/") || strings.HasPrefix(word, ".")
}

// obtain returns the image, from here or from its registry, as --pull and --platform say. local and
// err are what Layout.Find has returned.
func (c *Container) obtain(name string, local *oci.Image, err error) (*oci.Image, error) {
	if err == nil {
		err = oci.CheckPlatform(local.Config.Platform, c.Platform, complain)
	}
	if err == nil && c.Pull != "always" {
		return local, nil
	}
	if err != nil && !errors.Is(err, oci.ErrNoImage) {
		return nil, err
	}
	isHost := oci.CheckPlatform(oci.Here(), c.Platform, complain) == nil
	isMade := isTiny(name) && c.Pull != "always" && isHost
	if c.DryRun {
		return nil, registrycli.WouldPull(name, isMade)
	}
	if isMade {
		return c.Store.makeTinyImage()
	}
	if c.Pull != "never" {
		local, err = c.pullImage(name, err)
	}
	return local, err
}

// pullMounted gets the images that are to be mounted, as --pull says.
func (c *Container) pullMounted() error {
	mounted := *c
	mounted.Platform = "" // that is of the container's own image, as in Docker
	for _, m := range c.requestedMounts() {
		if m.Type != "image" || c.DryRun || c.asImages[m.Source] != nil {
			continue
		}
		here, err := c.Store.layout().Find(m.Source)
		if _, err = mounted.obtain(m.Source, here, err); err != nil {
			return fmt.Errorf("%s: %w", m.Text, err)
		}
	}
	return nil
}

// pullImage gets the image from its registry. missing says why none that is here will do.
func (c *Container) pullImage(name string, missing error) (*oci.Image, error) {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil, err
	}
	ctx, stop := interrupt.Context()
	defer stop()
	if !c.Quiet {
		fmt.Fprintf(os.Stderr, "box: pulling %s from %s\n", ref.Familiar(), ref.Host)
	}
	show := progress.New(os.Stderr, c.Quiet, c.Explain != "")
	defer show.Finish()
	if c.LimitFlags != (layer.LimitFlags{}) { // a build has set its own
		if err := c.Store.setLimits(c.LimitFlags); err != nil {
			return nil, err
		}
	}
	remote := registrycli.Remote{Explain: c.Explain != "", Insecure: c.Insecure}
	image, err := c.Store.pull(ctx, ref, c.Platform, remote, show)
	if err != nil {
		what := "there is no image " + ref.Familiar() + " here"
		if errors.As(missing, new(oci.OtherPlatform)) {
			what = missing.Error()
		}
		err = fmt.Errorf("%s, and it cannot be pulled: %w", what, err)
		return nil, c.Store.layout().Meant(name, err)
	}
	return image, nil
}

// layersOf returns the directories of an image that is mounted in a container, the top one first.
func (c *Container) layersOf(name string) ([]string, error) {
	if layers := c.asImages[name]; layers != nil {
		return layers, nil
	}
	image, err := c.Store.layout().Find(name)
	if err != nil {
		return nil, err
	}
	return c.Store.layers().Mounted(image)
}

// image makes the union of an image's layers and copies its mount, which is then in the way no
// longer: it lay on the root.
func (r *newRoot) image(b bind) plan.Arg {
	o := r.record.overlay()
	o.lowers, o.upper, o.volatile = b.Layers, "", false
	o.mount(r.Plan)
	why := "the image " + b.Source + ", for " + b.Target
	b.Source = o.merged
	mount := r.copySource(b).Why(why).Result()
	r.SetMount(mount, rdOnly|noSuid|noDev)
	r.Detach(o.merged)
	r.Chdir(o.merged)
	return mount
}

// merge takes from the image what the flags leave open.
func (c *Container) merge(words []string, config oci.RunConfig) error {
	if c.Command = c.commandOf(words, config); len(c.Command) == 0 {
		return fault.Invalid.New(
			"the image does not say what to run: give a command after its name")
	}
	if err := c.readEnvFiles(); err != nil {
		return err
	}
	c.Env = append(envfile.WithValues(config.Env), c.Env...)
	c.Label = append(labels.List(config.Labels), c.Label...)
	c.User = cmp.Or(c.User, config.User)
	c.Workdir = cmp.Or(c.Workdir, config.WorkingDir)
	c.StopSignal = cmp.Or(c.StopSignal, config.StopSignal)
	return c.addVolumes(config.Volumes)
}

// commandOf is the image's entrypoint, followed by the words or else by the image's command. As in
// Docker, --entrypoint replaces not only the image's entrypoint but its command too.
func (c *Container) commandOf(words []string, config oci.RunConfig) []string {
	entrypoint, cmd := config.Entrypoint, config.Cmd
	if len(entrypoint) == 1 && entrypoint[0] == "" { // as some tools write that there is none
		entrypoint = nil
	}
	if c.Entrypoint != nil {
		entrypoint, cmd = nil, nil
		if *c.Entrypoint != "" {
			entrypoint = []string{*c.Entrypoint}
		}
	}
	if len(words) > 0 {
		cmd = words
	}
	return append(slices.Clone(entrypoint), cmd...)
}

// addVolumes gives the container a volume for each VOLUME of its image where the flags mount
// nothing.
func (c *Container) addVolumes(targets map[string]struct{}) error {
	binds, err := c.binds()
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, b := range binds {
		taken[b.Target] = true
	}
	for _, path := range slices.Sorted(maps.Keys(targets)) {
		target := filepath.Join("/", path) // a relative one begins there, as in Docker
		mount := mountspec.Join("type=volume", "dst="+target)
		_, err := mountTypes.Resolve(nil, []string{mount}, nil, ids.IsName)
		switch {
		case taken[target]:
		case err != nil:
			return fmt.Errorf("the image %s, VOLUME %q: %w", c.imageName, path, errors.Unwrap(err))
		case strings.Contains(target, ":"):
			c.Mount = append(c.Mount, mount)
		default:
			c.Volume = append(c.Volume, target)
		}
		taken[target] = true
	}
	return nil
}

// input gives a program in a container of an image nothing to read, if it has no -i, as in Docker:
// the caller may be a shell's loop that reads the lines itself.
func (r *Record) input(c *Container, p *Plan) {
	if r == nil || r.ImageID == "" || c.Interactive || c.TTY || p.stdio[0] != 0 {
		return
	}
	null := p.before.Open(plan.Cwd, os.DevNull, unix.O_RDWR).Result()
	p.Dup3(null, 0, false).Why("no -i: its standard input is empty")
}

// stopSignal is the signal that asks the container to end. One that is none comes from an image:
// the flag was checked.
func (c *Container) stopSignal() unix.Signal { return signals.Or(c.StopSignal, unix.SIGTERM) }

func isTiny(name string) bool { return name == "tiny" || name == "tiny:latest" }

// makeTinyImage makes the image that needs no registry, from programs of the host.
func (s Store) makeTinyImage() (*oci.Image, error) {
	done, err := s.using()
	if err != nil {
		return nil, err
	}
	defer done()
	dir, err := os.MkdirTemp(s.path("images/partial"), "tiny-*")
	if err != nil {
		return nil, err
	}
	image, err := s.imageOf(dir)
	return image, errors.Join(err, removeTree(dir))
}

func (s Store) imageOf(dir string) (*oci.Image, error) {
	if _, err := tiny.Make(filepath.Join(dir, "tiny")); err != nil {
		return nil, err
	}
	layer, err := s.keepUpper(filepath.Join(dir, "tiny"))
	if err != nil {
		return nil, err
	}
	config := oci.NewConfig()
	config.Config.Env = []string{"PATH=" + plan.DefaultPath}
	config.Config.Cmd = []string{"sh"}
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	config.History = []ocispec.History{oci.Step("box rootfs", "this host's own programs", false)}
	ref, err := registry.ParseReference("tiny")
	if err != nil {
		return nil, err
	}
	return s.layout().Write(config, []ocispec.Descriptor{layer}, ref.String(), nil)
}

// complain prints an error that does not decide how the command ends.
func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
	}
}
