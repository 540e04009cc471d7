// Stage 04: overlay, as root and in a user namespace, and the file system where box keeps
// containers. Documentation/filesystems/overlayfs.rst of the kernel says what can be an upper layer.
package host

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

func overlay(h *Host) Finding {
	mount, whiteout := h.tried("overlay"), h.tried("whiteout")
	switch {
	case mount.OK() && whiteout.OK():
		return fine("", "layers can be stacked, and a file of a lower one removed")
	case mount.OK():
		return missing(whiteout.String()+": what a lower layer holds cannot be removed", "upgrade the kernel to 5.15 or newer")
	case !mount.Tried():
		return Finding{}
	case mount.Errno == unix.ENODEV:
		return missing(mount.String()+": the kernel has no overlay", h.module("overlay"))
	default:
		why, mend := h.forbidden(mount)
		return missing("overlay: "+why, mend)
	}
}

// userOverlay tells root what others can do.
func userOverlay(h *Host) Finding {
	mount := h.AsUser["overlay"]
	switch {
	case h.UID != 0 || !mount.Tried() || !h.AsRoot["overlay"].OK():
		return Finding{}
	case !mount.OK() || !h.AsUser["whiteout"].OK():
		return limited("an ordinary user's overlay (userxattr) fails: "+mount.String(), "upgrade the kernel to 5.15 or newer")
	}
	return fine("overlay for ordinary users", "in a user namespace too (userxattr)")
}

// These can be the upper layer of an overlay: they keep its attributes and whiteouts.
var uppers = []string{"ext4", "xfs", "btrfs", "tmpfs", "f2fs", "bcachefs", "zfs", "ext3", "ext2"}

func stateDirectory(h *Host) Finding {
	dir := h.existing(h.StateDir())
	m := h.mountOf(dir)
	if err := h.Writes(dir); err != nil {
		return missing(fmt.Sprintf("%s cannot be made: %s: %v", h.StateDir(), dir, err), h.elsewhere(""))
	}
	if !slices.Contains(uppers, m.fstype) {
		return missing(fmt.Sprintf("%s is on %s, which cannot be the upper layer of an overlay", dir, m.fstype), h.elsewhere(m.dir))
	}
	return fine("", fmt.Sprintf("%s, on %s", h.StateDir(), m.fstype))
}

// elsewhere proposes a state directory that can be one, on any mount but the one given.
func (h *Host) elsewhere(but string) string {
	for _, dir := range []string{"/var/tmp", "/tmp", "/dev/shm"} {
		m := h.mountOf(dir)
		if h.exists(dir) && h.Writes(dir) == nil && m.dir != but && slices.Contains(uppers, m.fstype) {
			return fmt.Sprintf("export BOX_ROOT=%s/box-%s   # on %s", dir, h.User(), m.fstype)
		}
	}
	return "export BOX_ROOT=DIR   # a directory of yours on ext4, xfs, btrfs or tmpfs"
}

// spaceFor makes a check on free space in bytes.
func spaceFor(what string, bytes uint64) func(*Host) Finding {
	return func(h *Host) Finding {
		d := h.Disk
		switch {
		case d.Free < bytes:
			return limited(fmt.Sprintf("%s free on the file system of %s: %s want %s", size(d.Free), d.Dir, what, size(bytes)), "df -h "+d.Dir+"   # make room, or set BOX_ROOT to another disk")
		case d.Inodes > 0 && d.Inodes < 20000:
			return limited(fmt.Sprintf("%d files can still be made on the file system of %s: an image has thousands", d.Inodes, d.Dir), "df -i "+d.Dir)
		}
		return fine(size(d.Free)+" free", fmt.Sprintf("%s free on the file system of %s", size(d.Free), d.Dir))
	}
}

func size(bytes uint64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
