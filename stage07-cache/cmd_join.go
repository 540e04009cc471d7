// Docker's flags about namespaces that are not new: --pid, --ipc and --uts.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagebox/stage01-namespaces/plan"
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
	if err := cmp.Or(c.readMode("pid", &c.PID, "host"), c.readMode("uts", &c.UTS, "host"),
		c.readMode("ipc", &c.IPC, "host", "private", "shareable", "none")); err != nil {
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

// readMode checks a mode, which may be one of some words. It puts the id of a container in the place
// of its name.
func (c *Container) readMode(kind string, mode *string, words ...string) error {
	name, joins := strings.CutPrefix(*mode, "container:")
	joins = joins && name != "" && kind != "uts"
	switch {
	case *mode == "":
	case !joins && !slices.Contains(words, *mode):
		if kind != "uts" {
			words = append(words, "container:NAME")
		}
		return fmt.Errorf("--%s %s: no such mode; there are: %s", kind, *mode, strings.Join(words, ", "))
	case *mode == "host" && slices.Contains(c.Unshare, kind):
		return fmt.Errorf("--%s host and --unshare %[1]s exclude one another", kind)
	case *mode != "host" && slices.Contains(c.Share, kind):
		return fmt.Errorf("--%s %s and --share %[1]s exclude one another", kind, *mode)
	case *mode == "host":
		c.Share = append(c.Share, kind)
	case joins:
		r, err := c.Store.find(name)
		if err != nil {
			return fmt.Errorf("--%s %s: %w", kind, *mode, err)
		}
		*mode = "container:" + r.ID
	}
	return nil
}

// ownsPIDs reports whether the container's first process is PID 1 of its own namespace.
func (c *Container) ownsPIDs() bool { return c.PID == "" && !slices.Contains(c.Share, "pid") }

// hasPrivateIPC reports whether no other container may join the IPC of this one.
func (c *Container) hasPrivateIPC() bool {
	return slices.Contains([]string{"", "private", "none"}, c.IPC) && !slices.Contains(c.Share, "ipc")
}

// checkOwnRoot refuses modes that make no sense for a container of which nothing is kept.
func (c *Container) checkOwnRoot() error {
	given := map[string]bool{"--pid": c.PID != "" && c.PID != "host", "--ipc": c.IPC != "" && c.IPC != "host"}
	flag := c.firstGiven(given)
	if flag == "" || c.Rootfs != "" {
		return nil
	}
	return fmt.Errorf("%s, but for host, is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one", flag)
}
