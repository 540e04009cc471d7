package host

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestKernel(t *testing.T) {
	for _, c := range []struct {
		release string
		state   State
		told    []string
	}{
		{"6.18.1", OK, nil},
		{"5.15.0-91-generic", OK, nil},
		{"5.14.0-427.el9.x86_64", Less, []string{"is older than 5.15"}},
		{"5.10.0-28-amd64", Less, []string{"overlay for ordinary users", "(5.11)", "cgroup.kill (5.14)"}},
		{"4.19.0", Less, []string{"clone3 and pidfd_open (5.3)", "CLONE_INTO_CGROUP (5.7)"}},
		{"", Less, []string{"is /proc mounted?"}},
		{"banana", Less, []string{"cannot be read"}},
	} {
		found := kernel(made(map[string]string{"/proc/sys/kernel/osrelease": c.release + "\n"}))
		require.Equal(t, c.state, found.State, c.release)
		for _, words := range c.told {
			require.Contains(t, found.Text, words)
		}
	}
	require.NotContains(t, kernel(made(map[string]string{"/proc/sys/kernel/osrelease": "5.14.1"})).Text, "lacks")
}

func TestPlace(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"":                      {},
		"in a Docker container": {"/.dockerenv": ""},
		"in a podman container": {"/run/.containerenv": "engine=podman"},
		"in a lxc container":    {"/run/systemd/container": "lxc\n"},
		"under WSL 2":           {"/proc/sys/kernel/osrelease": "5.15.146.1-microsoft-standard-WSL2"},
		"under WSL 1":           {"/proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft"},
		"in a virtual machine":  {"/sys/class/dmi/id/sys_vendor": "QEMU\n"},
	} {
		require.Equal(t, want, made(files).Place())
	}
	require.Equal(t, No, place(made(map[string]string{"/proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft"})).State)
	require.Equal(t, "in a virtual machine", made(map[string]string{"/proc/cpuinfo": "flags : fpu hypervisor\n"}).Place())
	require.Empty(t, made(map[string]string{"/proc/cpuinfo": "flags : fpu\n"}).Place())
}

// A machine that was made from an image has the file, and is still no container.
func TestTheHostsOwnPIDNamespaceIsNoContainer(t *testing.T) {
	h := made(map[string]string{"/.dockerenv": ""})
	h.Files.(fstest.MapFS)["proc/self/ns/pid"] = &fstest.MapFile{Data: []byte(firstPIDNamespace), Mode: fs.ModeSymlink | 0o777}
	require.Empty(t, h.Place())
}
