// Flags for the layers of a container's root, for what is kept of the container, and for the
// store. Values are checked here, and made independent of where the command was given.

package main

import (
	"cmp"
	"fmt"
	"os"

	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage03-rootfs/seccomp"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/labels"
	"stagebox/stage04-unionfs/restart"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
)

// Layers are the layers of a container's root above --rootfs.
type Layers struct {
	Layer []string `help:"Directory to stack, read-only, on top of --rootfs or instead of it; the last one is on top." placeholder:"DIR" sep:"none" group:"Files:"`
}

// Store is the directory that box keeps its state in. In a command it is a named field: of an embedded one,
// the compiler would make each command a copy of every method.
type Store struct {
	Root string `help:"Directory of box's store, which holds containers and volumes (default: /var/lib/stagebox for root, ~/.local/share/stagebox for others)." env:"BOX_ROOT" placeholder:"DIR" group:"Store:"`

	limits layer.LimitFlags // of what is unpacked into it
}

// dir returns the absolute path of the store.
func (s Store) dir() string { return state.Dir(s.Root) }

// rootFirst allows --root DIR before the command, too.
func rootFirst() {
	if err := state.RootFirst(); err != nil {
		exit("run", err)
	}
}

// StoreOptions are the flags for what is kept of a container, and for how long.
type StoreOptions struct {
	Name   string `help:"Name of the container (default: two random words)." group:"Store:"`
	Detach bool   `short:"d" help:"Run the container in the background and print its id." group:"Store:"`
	Rm     bool   `help:"Remove the container and its anonymous volumes when it exits." group:"Store:"`

	Cidfile string `help:"Write the container's id to a file, which must not exist." placeholder:"FILE" group:"Store:"`

	StopTimeout *int `json:",omitempty" help:"Seconds that stop and restart wait before they kill the container." placeholder:"SECONDS" group:"Store:"`

	Label     []string `short:"l" help:"Set a label on the container." placeholder:"KEY[=VALUE]" sep:"none" group:"Store:"`
	LabelFile []string `json:"-" help:"Read labels from a file, one per line." placeholder:"FILE" sep:"none" group:"Store:"`

	Restart restart.Policy `json:",omitempty" help:"Restart policy: no, on-failure[:N], always, unless-stopped." placeholder:"POLICY" group:"Store:"`

	attach.LeaveOptions `json:"-"`

	VolumesFrom []string `json:",omitempty" help:"Mount what another container has mounted with --volume and --mount." placeholder:"CONTAINER[:ro]" sep:"none" group:"Store:"`

	Annotation []string `json:",omitempty" help:"Note about the container for programs, which inspect shows." placeholder:"KEY=VALUE" sep:"none" group:"Store:"`

	SigProxy *bool `json:"-" help:"Forward signals to the container (default: true); if false, they end this command, and the container goes on." group:"Store:"`

	record  *Record
	noInput bool // standard input is not the caller's

	source    *oci.Image // that it is made of, if it is
	imageName string

	input, output *os.File                 // of a step of a build, in place of the caller's
	takeLayer     func(upper string) error // takes its layer away, when it has ended well
	asImages      map[string][]string      // directories that it mounts as if they were images
}

// rejectStoreFlags refuses the flags that make no sense for a container that is not kept.
func (c *Container) rejectStoreFlags() error {
	flag := c.firstGiven(map[string]bool{"--name": c.Name != "", "--detach": c.Detach, "--cidfile": c.Cidfile != "", "--stop-timeout": c.StopTimeout != nil, "--volumes-from": len(c.VolumesFrom) > 0,
		"--label": len(c.Label) > 0, "--label-file": len(c.LabelFile) > 0, "--restart": c.Restart != "", "--detach-keys": c.DetachKeys != "", "--stop-signal": c.StopSignal != "", "--health-cmd": c.HealthCmd != "",
		"--sig-proxy": c.runsApart(), "--annotation": len(c.Annotation) > 0})
	if flag == "" {
		return nil
	}
	return fmt.Errorf("%s is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one", flag)
}

// runDetached starts the container's monitor, and prints the id.
func (r *Record) runDetached() error {
	if err := r.detach(); err != nil {
		return err
	}
	_, err := fmt.Println(r.ID)
	return err
}

// resolve makes the flags that the record keeps independent of the directory and the environment
// of the command.
func (c *Container) resolve() error {
	if _, err := c.Keys(); err != nil {
		return err
	}
	if c.HostnameID {
		c.Hostname = c.record.ID[:12]
	}
	if err := c.readEnvFiles(); err != nil {
		return err
	}
	if err := c.takeVolumes(); err != nil {
		return err
	}
	envfile.Resolve(c.Env)
	return seccomp.Absolute(c.SecurityOpt)
}

// readEnvFiles puts the variables of --env-file before those of --env, which win. A later file
// wins over an earlier one.
func (c *Container) readEnvFiles() error {
	lines, err := envfile.ReadAll(c.EnvFile)
	if err != nil {
		return err
	}
	c.Env, c.EnvFile = append(envfile.Set(nil, lines), c.Env...), nil
	return nil
}

// AfterApply puts the labels of --label-file before those of --label.
func (o *StoreOptions) AfterApply() (err error) {
	o.Label, err = labels.Read(o.LabelFile, o.Label)
	return cmp.Or(err, labels.CheckNotes(o.Annotation))
}

// labels are the container's labels.
func (o *StoreOptions) labels() map[string]string { return labels.Map(o.Label) }
