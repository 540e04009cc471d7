package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOverlay(t *testing.T) {
	h := made(map[string]string{"/proc/sys/kernel/osrelease": "6.1", "/lib/modules/6.1/x": ""})
	require.Equal(t, Silent, overlay(h).State)
	h.AsUser = Outcomes{"overlay": {Call: "mount", Errno: unix.ENODEV}}
	require.Equal(t, []string{"sudo modprobe overlay"}, overlay(h).Mend)
	h.AsUser = Outcomes{"overlay": worked, "whiteout": eperm}
	require.Equal(t, No, overlay(h).State)
	h.AsUser["whiteout"] = worked
	require.Equal(t, OK, overlay(h).State)
}

func TestRootIsToldOfUsersOverlay(t *testing.T) {
	h := made(nil).root()
	h.AsRoot = Outcomes{"overlay": worked}
	require.Equal(t, Silent, userOverlay(h).State)
	h.AsUser = Outcomes{"overlay": eperm}
	require.Equal(t, Less, userOverlay(h).State)
	h.AsUser = Outcomes{"overlay": worked, "whiteout": worked}
	require.Equal(t, OK, userOverlay(h).State)
}

func TestStateDirectory(t *testing.T) {
	const overlayRoot = "1 0 0:9 / / rw - overlay overlay rw\n"
	h := made(map[string]string{mountinfo: overlayRoot + "2 1 0:8 / /dev/shm rw - tmpfs shm rw", "/var/lib/x": "", "/tmp/x": "", "/dev/shm/x": ""}).root()
	found := stateDirectory(h)
	require.Equal(t, No, found.State)
	require.Equal(t, []string{"export BOX_ROOT=/dev/shm/box-0   # on tmpfs"}, found.Mend)
	h.Env = environment(map[string]string{"BOX_ROOT": "/dev/shm/box-0"})
	require.Equal(t, OK, stateDirectory(h).State, "the proposal is one")
	h.Writes = denied(unix.EROFS, "/dev")
	require.Contains(t, stateDirectory(h).Text, "read-only file system")
}

func TestSpace(t *testing.T) {
	look := spaceFor("builds", 2<<30)
	h := made(nil)
	h.Disk = Disk{Dir: "/var", Free: 300 << 20}
	require.Equal(t, "300 MiB free on the file system of /var: builds want 2.0 GiB", look(h).Text)
	h.Disk = Disk{Dir: "/var", Free: 10 << 30, Inodes: 50}
	require.Equal(t, Less, look(h).State)
	h.Disk.Inodes = 0 // btrfs has no such limit
	require.Equal(t, "10.0 GiB free", look(h).Brief)
}
