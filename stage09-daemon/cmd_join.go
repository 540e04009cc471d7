// Docker's flags about namespaces that are not new: --pid, --ipc and --uts.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/nsmode"
)

// JoinOptions are flags about namespaces. With host they mean what --share does.
type JoinOptions struct {
	PID string `name:"pid" json:",omitempty" help:"Processes that the container sees: host (the same as --share pid), or container:NAME, those of a running container." placeholder:"MODE" group:"Isolation:"`
	IPC string `name:"ipc" json:",omitempty" help:"Shared memory: private (default), shareable (others may join it), none (private, and no /dev/shm), host (the same as --share ipc), or container:NAME, that of a running container." placeholder:"MODE" group:"Isolation:"`
	UTS string `name:"uts" json:",omitempty" help:"Host name: host (the same as --share uts)." placeholder:"host" group:"Isolation:"`

	HostnameID bool `json:"-" hidden:"" name:"hostname-id" help:"The host name is the short id, as API clients expect."`

	otherShm plan.Arg // /dev/shm of the container whose IPC is joined
}

// readModes checks the modes.
func (c *Container) readModes() error {
	modes := nsmode.Reader{Share: c.Share, Unshare: c.Unshare, Find: c.Store.idOf}
	err := cmp.Or(modes.Read("pid", &c.PID, "host"), modes.Read("uts", &c.UTS, "host"),
		modes.Read("ipc", &c.IPC, "host", "private", "shareable", "none"))
	if c.Share = modes.Share; err != nil {
		return err
	}
	if c.IPC == "none" && c.ShmSize != 0 {
		return errors.New("--shm-size and --ipc none exclude one another: there is no /dev/shm")
	}
	if c.UTS == "" {
		return nil
	}
	if !slices.Contains(c.given, "--hostname") {
		c.Hostname = "" // not the default, but the host's
	}
	return c.Isolation.AfterApply()
}

// idOf returns the id of the container that a name means.
func (s Store) idOf(name string) (id string, err error) {
	r, err := s.find(name)
	if err == nil {
		id = r.ID
	}
	return id, err
}

// ownsPIDs reports whether the container's first process is PID 1 of its own namespace.
func (c *Container) ownsPIDs() bool { return c.PID == "" && !slices.Contains(c.Share, "pid") }

// hasPrivateIPC reports whether no other container may join the IPC of this one.
func (c *Container) hasPrivateIPC() bool {
	return slices.Contains([]string{"", "private", "none"}, c.IPC) && !slices.Contains(c.Share, "ipc")
}

// checkOwnRoot refuses modes that make no sense for a container that is not kept.
func (c *Container) checkOwnRoot() error {
	given := map[string]bool{"--pid": c.PID != "" && c.PID != "host", "--ipc": c.IPC != "" && c.IPC != "host"}
	flag := c.firstGiven(given)
	if flag == "" || c.Rootfs != "" {
		return nil
	}
	return fmt.Errorf("%s, but for host, is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one", flag)
}
