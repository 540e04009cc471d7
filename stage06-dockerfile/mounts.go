// The system calls that make a mount in steps (fsopen(2), open_tree(2), mount_setattr(2),
// move_mount(2)). A new or copied mount is at first attached nowhere, and a descriptor is
// all there is of it. So it can be made while the host's files are in sight, and attached
// when they no longer are.

package main

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// NewMount makes a file system and a mount of it that is attached nowhere yet. Options are
// "name=value", or "name" alone. mount(8) shows its source: by default the type.
func (p *Plan) NewMount(fstype string, attrs uint64, options ...string) plan.Arg {
	fs := p.Add("fsopen", unix.SYS_FSOPEN, fstype, plan.Sym(unix.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC")).
		Hint(unix.ENODEV, "the kernel has no file system "+fstype).Result()
	isSource := func(option string) bool { return strings.HasPrefix(option, "source=") }
	if !slices.ContainsFunc(options, isSource) {
		options = append([]string{"source=" + fstype}, options...)
	}
	for _, option := range options {
		name, value, given := strings.Cut(option, "=")
		if !given {
			p.Add("fsconfig", unix.SYS_FSCONFIG, fs,
				plan.Sym(unix.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"), name, nil, 0)
			continue
		}
		p.Add("fsconfig", unix.SYS_FSCONFIG, fs,
			plan.Sym(unix.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"), name, value, 0)
	}
	p.Add("fsconfig", unix.SYS_FSCONFIG, fs,
		plan.Sym(unix.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"), nil, nil, 0)
	return p.Add("fsmount", unix.SYS_FSMOUNT, fs,
		plan.Sym(unix.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"), plan.Bits(attrs, plan.MountAttrs)).
		Why("a new " + fstype + ", attached nowhere yet").Result()
}

// CopyMount copies the mount of a directory or file, with all mounts below it.
func (p *Plan) CopyMount(dir plan.Arg, path string) *plan.Call {
	return p.copyMount(dir, path, unix.AT_RECURSIVE)
}

// CopyMountAlone leaves out the mounts below it.
func (p *Plan) CopyMountAlone(dir plan.Arg, path string) *plan.Call {
	return p.copyMount(dir, path, 0)
}

// copyMount is open_tree(2): a copy of a mount, attached nowhere yet. An empty path is dir itself.
func (p *Plan) copyMount(dir plan.Arg, path string, flags uint64) *plan.Call {
	flags |= unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return p.Add("open_tree", unix.SYS_OPEN_TREE, dir, path, plan.Bits(flags, plan.OpenTreeFlags))
}

// SetMount is mount_setattr(2): adds attributes to a mount and to those below it.
func (p *Plan) SetMount(mount plan.Arg, attrs uint64) *plan.Call {
	return p.setMount(mount, unix.MountAttr{Attr_set: attrs}, unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
}

// SetMountAlone leaves the mounts below as they are.
func (p *Plan) SetMountAlone(mount plan.Arg, attrs uint64) *plan.Call {
	return p.setMount(mount, unix.MountAttr{Attr_set: attrs}, unix.AT_EMPTY_PATH)
}

// SetSlave has a copied mount, and those below it, follow the ones that they are copies of.
func (p *Plan) SetSlave(mount plan.Arg) *plan.Call {
	attr := unix.MountAttr{Propagation: unix.MS_SLAVE}
	return p.setMount(mount, attr, unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
}

func (p *Plan) setMount(mount plan.Arg, attr unix.MountAttr, flags uint64) *plan.Call {
	text := fmt.Sprintf("{attr_set=%s, attr_clr=%s, propagation=%s, userns_fd=%d}",
		plan.Bits(attr.Attr_set, plan.MountAttrs), plan.Bits(attr.Attr_clr, plan.MountAttrs),
		plan.Bits(attr.Propagation, plan.MountFlags), attr.Userns_fd)
	return p.Add("mount_setattr", unix.SYS_MOUNT_SETATTR, mount, "",
		plan.Bits(flags, plan.OpenTreeFlags), plan.Ptr(unsafe.Pointer(&attr), text),
		unix.MOUNT_ATTR_SIZE_VER0)
}

// Attach is move_mount(2) of a mount to a path below a directory, or to the descriptor itself.
func (p *Plan) Attach(mount, dir plan.Arg, path string) *plan.Call {
	flags := uint64(unix.MOVE_MOUNT_F_EMPTY_PATH)
	if path == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return p.Add("move_mount", unix.SYS_MOVE_MOUNT, mount, "", dir, path,
		plan.Bits(flags, plan.MoveMountFlags))
}

// OpenPath opens a path as OpenPathIn does, in the working directory.
func (p *Plan) OpenPath(path string, flags, resolve uint64) *plan.Call {
	return p.OpenPathIn(plan.Cwd, path, flags, resolve)
}

// OpenPathIn is openat2(2) of a path in a directory, as a handle only. Magic links, such as
// /proc/PID/fd/N, are never followed: they could lead out of the root.
func (p *Plan) OpenPathIn(dir plan.Arg, path string, flags, resolve uint64) *plan.Call {
	flags |= unix.O_PATH | unix.O_CLOEXEC
	resolve |= unix.RESOLVE_NO_MAGICLINKS
	how := &unix.OpenHow{Flags: flags, Resolve: resolve}
	text := fmt.Sprintf("{flags=O_RDONLY|%s, resolve=%s}",
		plan.Bits(flags, plan.OpenFlags).String(), plan.Bits(resolve, plan.ResolveFlags).String())
	return p.Add("openat2", unix.SYS_OPENAT2, dir, path,
		plan.Ptr(unsafe.Pointer(how), text), unix.SizeofOpenHow).Retry()
}

// MkdirAt is mkdirat(2); a directory that is there already serves as well.
func (p *Plan) MkdirAt(dir plan.Arg, path string) *plan.Call {
	return p.Add("mkdirat", unix.SYS_MKDIRAT, dir, path, plan.Sym(0o755, "0755")).
		Tolerate(unix.EEXIST)
}

// Mknod is mknodat(2): a device, or an empty file when mode says so.
func (p *Plan) Mknod(dir plan.Arg, path string, mode uint32, major, minor uint32) *plan.Call {
	name := map[uint32]string{unix.S_IFCHR: "S_IFCHR", unix.S_IFBLK: "S_IFBLK",
		unix.S_IFREG: "S_IFREG", unix.S_IFIFO: "S_IFIFO"}[mode&unix.S_IFMT]
	args := []any{dir, path, plan.Sym(uintptr(mode), fmt.Sprintf("%s|%#o", name, mode&0o7777))}
	if mode&unix.S_IFMT == unix.S_IFCHR || mode&unix.S_IFMT == unix.S_IFBLK {
		args = append(args, plan.Sym(uintptr(unix.Mkdev(major, minor)),
			"makedev("+plan.Hex(major)+", "+plan.Hex(minor)+")"))
	}
	return p.Add("mknodat", unix.SYS_MKNODAT, args...)
}

// Symlink is symlinkat(2).
func (p *Plan) Symlink(target string, dir plan.Arg, name string) *plan.Call {
	return p.Add("symlinkat", unix.SYS_SYMLINKAT, target, dir, name)
}

// Chdir is chdir(2).
func (p *Plan) Chdir(path string) *plan.Call { return p.Add("chdir", unix.SYS_CHDIR, path) }

// Umask is umask(2).
func (p *Plan) Umask(mask int) *plan.Call {
	text := "000"
	if mask != 0 {
		text = fmt.Sprintf("%#o", mask)
	}
	return p.Add("umask", unix.SYS_UMASK, plan.Sym(uintptr(mask), text))
}

// PivotRoot is pivot_root(2).
func (p *Plan) PivotRoot(newRoot, putOld string) *plan.Call {
	return p.Add("pivot_root", unix.SYS_PIVOT_ROOT, newRoot, putOld)
}

// Detach is umount2(2) of a mount and all below it: new lookups fail at once, processes that
// use it keep it.
func (p *Plan) Detach(path string) *plan.Call {
	return p.Add("umount2", unix.SYS_UMOUNT2, path, plan.Sym(unix.MNT_DETACH, "MNT_DETACH"))
}

// Attributes of mounts.
const (
	noSuid = unix.MOUNT_ATTR_NOSUID
	noDev  = unix.MOUNT_ATTR_NODEV
	noExec = unix.MOUNT_ATTR_NOEXEC
	rdOnly = unix.MOUNT_ATTR_RDONLY
)
