// box bundle does an engine's part for an OCI runtime: it writes an image's files and a config.json
// that says what box run would make of them. Volumes, and a network beside loopback, are left out: no
// runtime makes these of a bundle. Package runtimespec has the form of the file.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/sysfs"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/runtimespec"
)

type bundleCmd struct {
	Image string `arg:"" help:"Image, by name or id; it is pulled if it is missing."`
	Dir   string `arg:"" help:"Directory to create. It must be empty if it exists."`
	Args  Argv   `arg:"" name:"command" optional:"" passthrough:"partial" help:"The command and its arguments, instead of the image's."`
	TTY   bool   `short:"t" name:"tty" help:"Allocate a terminal for the container."`

	Store Store `embed:""`
}

// Run is `box bundle`.
func (c *bundleCmd) Run() error {
	if isPath(c.Image) {
		return fmt.Errorf("bundle %s: a bundle is made of an image; name one", c.Image)
	}
	dir, err := runtimespec.NewDir(c.Dir)
	if err != nil {
		return fmt.Errorf("bundle %s: %w", c.Dir, err)
	}
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	container, err := c.container()
	if err != nil {
		return errors.Join(err, done())
	}
	if err := container.makeBundle(dir); err != nil {
		return errors.Join(fmt.Errorf("bundle %s: %w", c.Dir, err), done())
	}
	return done()
}

// container is the one that box run would make.
func (c *bundleCmd) container() (*Container, error) {
	words := append([]string{c.Image}, c.Args.argv()...)
	made := &Container{Command: words, Store: c.Store}
	made.Hostname, made.Pull, made.TTY = "box", "missing", c.TTY
	here, err := c.Store.layout().Find(c.Image)
	image, err := made.obtain(c.Image, here, err)
	if err != nil {
		return nil, err
	}
	return made, made.useImage(words, image)
}

// makeBundle makes the directory under a temporary name beside it. rename(2) then puts it in the
// place of one that is missing or empty, and of nothing else.
func (c *Container) makeBundle(dir string) error {
	build, done, err := c.Store.notes().Note(dir)
	if err != nil {
		return err
	}
	if err = os.Mkdir(build, 0o755); err == nil {
		err = c.fillBundle(build)
	}
	if err == nil {
		err = unix.Rename(build, dir)
	}
	if err != nil {
		return errors.Join(err, removeTree(build), done())
	}
	return errors.Join(state.SyncDir(filepath.Dir(dir)), done())
}

// fillBundle writes the root, the files that are mounted in its /etc, and config.json.
func (c *Container) fillBundle(dir string) error {
	layers := c.topFirst()
	c.Rootfs, c.Layer = filepath.Join(dir, "rootfs"), nil
	if err := os.Mkdir(c.Rootfs, 0o755); err != nil {
		return err
	}
	if err := layer.FlattenInside(c.Rootfs, layers); err != nil {
		return err
	}
	b, err := c.describeBundle()
	if err != nil {
		return err
	}
	return b.Write(dir)
}

// describeBundle is what box run would make of the container, for its config.json.
func (c *Container) describeBundle() (*runtimespec.Bundle, error) {
	who, err := identify(c)
	if err != nil {
		return nil, err
	}
	flags, err := c.flags()
	if err != nil {
		return nil, err
	}
	b := &runtimespec.Bundle{
		Args: c.Command, Env: who.env, Cwd: c.Workdir, TTY: c.TTY, Hostname: c.Hostname,
		UID: who.uid, GID: who.gid, Groups: who.groups, Caps: capability.Default & capability.Known(flags),
		Cgroups: "/sys/fs/cgroup", Masked: slices.Concat(masked, sysfs.Thermal()), ReadOnly: readOnly,
		HostUID: os.Geteuid(), HostGID: os.Getegid(),
	}
	for _, k := range kinds {
		if flags&k.flag != 0 {
			b.Namespaces = append(b.Namespaces, k.name)
		}
	}
	for _, name := range runtimespec.EtcFiles {
		b.Files = append(b.Files, [2]string{name, c.nameTarget("/etc/"+name, nil)})
	}
	if b.HostUID != 0 && b.UID != 0 {
		complain(fmt.Errorf("user %d is not mapped in this bundle: an ordinary user's has user 0 alone", b.UID))
	}
	return b, nil
}
