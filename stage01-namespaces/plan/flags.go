package plan

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Flags of system calls, as Bits writes them: MountFlags are those of mount(2), MountAttrs those of
// fsmount(2) and mount_setattr(2), OpenFlags those of openat(2), ResolveFlags those of openat2(2)
// about the path; the others have the name of their call. Only later stages use any but MountFlags.
var (
	MountFlags = []Flag{
		{unix.MS_RDONLY, "MS_RDONLY"}, {unix.MS_NOSUID, "MS_NOSUID"}, {unix.MS_NODEV, "MS_NODEV"},
		{unix.MS_NOEXEC, "MS_NOEXEC"}, {unix.MS_REMOUNT, "MS_REMOUNT"}, {unix.MS_BIND, "MS_BIND"},
		{unix.MS_MOVE, "MS_MOVE"}, {unix.MS_REC, "MS_REC"}, {unix.MS_PRIVATE, "MS_PRIVATE"},
		{unix.MS_SLAVE, "MS_SLAVE"}, {unix.MS_SHARED, "MS_SHARED"},
	}
	MountAttrs = []Flag{
		{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"}, {unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
		{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"}, {unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
		{unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
		{unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
		{unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
		{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
		{unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
	}
	OpenTreeFlags = []Flag{
		{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"}, {unix.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLOEXEC"},
		{unix.AT_RECURSIVE, "AT_RECURSIVE"}, {unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
	}
	MoveMountFlags = []Flag{
		{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"},
		{unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"},
	}
	OpenFlags = []Flag{
		{unix.O_RDWR, "O_RDWR"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_CLOEXEC, "O_CLOEXEC"},
		{unix.O_PATH, "O_PATH"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
	}
	ResolveFlags = []Flag{
		{unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
		{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"},
		{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"},
	}
)

// Hex is a number in base 16 as strace writes it. Only later stages use it.
func Hex(n uint32) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}
