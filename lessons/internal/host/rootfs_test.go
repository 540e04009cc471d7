package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPivotRoot(t *testing.T) {
	h := made(nil)
	require.Equal(t, Silent, pivotRoot(h).State)
	h.AsUser = Outcomes{"pivot_root": {Call: "pivot_root", Errno: unix.EINVAL}}
	require.Contains(t, pivotRoot(h).Text, "initramfs")
	h.AsUser["pivot_root"] = eperm
	require.Equal(t, "pivot_root: operation not permitted", pivotRoot(h).Text)
}

func TestSeccomp(t *testing.T) {
	const file = "/proc/sys/kernel/seccomp/actions_avail"
	require.Equal(t, Less, seccomp(made(nil)).State)
	require.Equal(t, OK, seccomp(made(map[string]string{file: "kill_process errno allow"})).State)
	require.Contains(t, seccomp(made(map[string]string{file: "errno", "/proc/self/status": "Seccomp:\t2"})).Text, "one is on us already")
}

func TestCapabilities(t *testing.T) {
	files := map[string]string{"/proc/sys/kernel/cap_last_cap": "40", "/proc/self/status": "Name:\tx\nCapBnd:\t000001fffeffffff\n"}
	require.Equal(t, OK, capabilities(made(files)).State, "an ordinary user has them all inside")
	found := capabilities(made(files).root())
	require.Equal(t, "root lacks CAP_SYS_RESOURCE (no hard limit can be raised); box gives a container what there is", found.Text)
	require.Empty(t, found.Mend)
	files["/proc/self/status"] = "CapBnd:\t00000000a80425fb"
	require.Contains(t, capabilities(made(files).root()).Text, "CAP_SYS_ADMIN")
	require.NotContains(t, capabilities(made(files).root()).Text, "CAP_CHOWN")
	files["/proc/sys/kernel/cap_last_cap"] = "10"
	files["/proc/self/status"] = "CapBnd:\t00000000000007ff"
	require.Equal(t, OK, capabilities(made(files).root()).State, "what an old kernel does not know is not missing")
}

func TestThereAreFortyOneCapabilities(t *testing.T) {
	require.Len(t, capabilityNames, unix.CAP_LAST_CAP+1)
	require.Equal(t, "SYS_ADMIN", capabilityNames[unix.CAP_SYS_ADMIN])
	require.Equal(t, "SYS_RESOURCE", capabilityNames[unix.CAP_SYS_RESOURCE])
	require.Equal(t, "CHECKPOINT_RESTORE", capabilityNames[unix.CAP_CHECKPOINT_RESTORE])
}

func TestNoNewPrivs(t *testing.T) {
	require.Equal(t, Less, noNewPrivs(made(map[string]string{"/proc/self/status": "NoNewPrivs:\t1"})).State)
	require.Equal(t, OK, noNewPrivs(made(map[string]string{"/proc/self/status": "NoNewPrivs:\t0"})).State)
}

func TestHostTools(t *testing.T) {
	h := made(map[string]string{"/etc/os-release": "ID=fedora"}).root()
	require.Equal(t, No, hostTools(h).State)
	h.with(map[string]string{"/bin/sh": "", "/bin/ls": "", "/bin/mount": "", "/bin/hostname": "", "/bin/id": "", "/bin/sleep": ""})
	found := hostTools(h)
	require.Equal(t, Less, found.State)
	require.Equal(t, "the host has no cat, ps, ip, and so the image tiny has none", found.Text)
	require.Equal(t, []string{"dnf install coreutils", "dnf install procps-ng", "dnf install iproute"}, found.Mend)
}
