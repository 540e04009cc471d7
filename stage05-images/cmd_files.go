// The flags about files: the root, the mounts in it, its devices and settings. cmd_binds.go
// has the grammar of the mounts.

package main

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"stagebox/stage01-namespaces/flags"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage03-rootfs/devcgroup"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/rootdir"
)

// Files is what a container sees of the file system.
type Files struct {
	Rootfs   string   `help:"Directory to use as the container's root (default: the host's root)." placeholder:"DIR" group:"Files:"`
	ReadOnly bool     `help:"Mount the root file system read-only." group:"Files:"`
	Volume   []string `short:"v" help:"Bind mount a file or directory of the host; ro makes it read-only, rslave propagates later mounts into the container; z, Z, cached, delegated and consistent have no effect." placeholder:"SRC:DST[:ro]" sep:"none" group:"Files:"`
	Mount    []string `help:"Attach a mount, in key=value form: type=bind,src=SRC,dst=DST,readonly,bind-recursive=disabled or type=tmpfs,dst=DST,tmpfs-size=64m." placeholder:"SPEC" sep:"none" group:"Files:"`
	Tmpfs    []string `help:"Mount a tmpfs, with options of tmpfs(5): /tmp:size=64m,mode=1777,uid=0." placeholder:"DST[:OPTIONS]" sep:"none" group:"Files:"`
	Device   []string `help:"Add a device of the host; r, w and m permit read, write and mknod." placeholder:"DEV[:DEV][:rwm]" sep:"none" group:"Files:"`
	Sysctl   []string `help:"Set a kernel parameter in the container's namespaces." placeholder:"NAME=VALUE" sep:"none" group:"Files:"`

	ShmSize units.Size `json:",omitempty" help:"Size of /dev/shm (default: 64m)." placeholder:"BYTES" group:"Files:"`

	DeviceCgroupRule []string `json:",omitempty" help:"Allow devices by type and numbers, even if the container makes their nodes: c 42:* rwm." placeholder:"RULE" sep:"none" group:"Files:"`

	given []string // all flags, in the order of the command line
}

// AfterApply refuses an empty --rootfs, which a shell makes of a variable that was never set: the
// command would run on the host's files. It also takes relative paths from the directory of the
// command, and notes the order of the flags.
func (f *Files) AfterApply(ctx *kong.Context) error {
	f.given = flags.Given(ctx)
	for _, flag := range ctx.Flags() {
		if flag.Name == "rootfs" && flag.Set && f.Rootfs == "" {
			return errors.New(`--rootfs "": give the name of a directory`)
		}
	}
	if f.ShmSize < 0 {
		return errors.New("--shm-size: give a size, such as 128m")
	}
	f.Volume = mountspec.Once(f.Volume)
	return errors.Join(rootdir.RefuseEmpty(f.Rootfs), mountspec.Absolute(f.Volume, f.Mount),
		devcgroup.Check(f.DeviceCgroupRule))
}

// needsRoot names a flag that makes no sense on the host's files.
func (c *Container) needsRoot() error {
	flag := c.firstGiven(map[string]bool{"--sysctl": len(c.Sysctl) > 0, "--read-only": c.ReadOnly, "--volume": len(c.Volume) > 0, "--mount": len(c.Mount) > 0,
		"--tmpfs": len(c.Tmpfs) > 0, "--device": len(c.Device) > 0, "--tty": c.TTY, "--shm-size": c.ShmSize != 0,
		"--device-cgroup-rule": len(c.DeviceCgroupRule) > 0})
	if flag == "" {
		return nil
	}
	return fmt.Errorf("%s needs a root of the container's own: add --rootfs DIR; box rootfs DIR makes one", flag)
}

// firstGiven returns the flag that comes first on the command line, of those that have a value.
func (f *Files) firstGiven(values map[string]bool) string { return flags.First(f.given, values) }
