package host

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// refusing is a made-up host where the named namespaces cannot be made, and all others can.
func refusing(errno unix.Errno, names ...string) *Host {
	h := made(nil)
	h.AsUser = Outcomes{}
	for _, ns := range namespaces {
		h.AsUser[ns.name] = worked
	}
	for _, name := range names {
		h.AsUser[name] = Outcome{Call: "clone(" + name + ")", Errno: errno}
	}
	h.AsRoot = h.AsUser
	return h
}

func TestNewNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		host  *Host
		files map[string]string
		state State
		text  string
		mend  []string
	}{
		"all": {refusing(0), nil, OK, "each can be made: mnt pid uts ipc net cgroup time user", nil},
		"a limit of 0": {refusing(unix.ENOSPC, "net"), map[string]string{"/proc/sys/user/max_net_namespaces": "0\n"}, No,
			"cannot be made: net: user.max_net_namespaces is 0", []string{"sudo sysctl -w user.max_net_namespaces=15000"}},
		"a limit that is reached": {refusing(unix.ENOSPC, "net"), map[string]string{"/proc/sys/user/max_net_namespaces": "9\n"}, No,
			"cannot be made: net: no space left on device: as many exist as user.max_net_namespaces allows, or 32 lie within each other",
			[]string{"sudo sysctl -w user.max_net_namespaces=100000"}},
		"two limits": {refusing(unix.ENOSPC, "uts", "net"), map[string]string{"/proc/sys/user/max_net_namespaces": "0", "/proc/sys/user/max_uts_namespaces": "0"}, No,
			"cannot be made: uts: user.max_uts_namespaces is 0; net: user.max_net_namespaces is 0",
			[]string{"sudo sysctl -w user.max_uts_namespaces=15000", "sudo sysctl -w user.max_net_namespaces=15000"}},
		"AppArmor": {refusing(unix.EPERM, "mnt", "pid"), map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, No,
			"cannot be made: mnt pid: kernel.apparmor_restrict_unprivileged_userns is 1, which takes all rights from a user namespace",
			[]string{"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"}},
		"Debian's switch": {refusing(unix.EPERM, "user"), map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, No,
			"cannot be made: user: kernel.unprivileged_userns_clone is 0; an ordinary user needs it around all the others",
			[]string{"sudo sysctl -w kernel.unprivileged_userns_clone=1"}},
		"no user namespaces for root": {refusing(unix.ENOSPC, "user").root(), map[string]string{"/proc/sys/user/max_user_namespaces": "0"}, Less,
			"cannot be made: user: user.max_user_namespaces is 0", []string{"sysctl -w user.max_user_namespaces=15000"}},
		"an old kernel": {refusing(unix.EINVAL, "time"), nil, Less,
			"cannot be made: time: invalid argument: this kernel was built without", []string{"boot a kernel of your distribution"}},
		"a container": {refusing(unix.EPERM, "mnt").root(), map[string]string{"/.dockerenv": ""}, No,
			"cannot be made: mnt: operation not permitted: the container's seccomp or AppArmor profile, or a capability that it lacks",
			[]string{"start this container with: docker run --privileged …"}},
		"nobody knows": {refusing(unix.EPERM, "mnt"), nil, No, "cannot be made: mnt: operation not permitted", nil},
	} {
		found := newNamespaces(c.host.with(c.files))
		require.Equal(t, c.state, found.State, name)
		require.Equal(t, c.text, found.Text, name)
		require.ElementsMatch(t, c.mend, found.Mend, name)
	}
}

func TestSystemCalls(t *testing.T) {
	h := made(nil)
	h.AsUser = Outcomes{"clone3": {Call: "clone3", Errno: unix.ENOSYS}, "pidfd_open": worked, "close_range": worked}
	require.Equal(t, []string{"upgrade the kernel: clone3 is missing in it"}, systemCalls(h).Mend)
	require.Contains(t, systemCalls(h.with(map[string]string{"/run/.containerenv": ""})).Mend[0], "podman run")
	h.AsUser["clone3"] = worked
	require.Equal(t, OK, systemCalls(h).State)
}

func TestFreshProc(t *testing.T) {
	h := made(nil)
	require.Equal(t, Silent, freshProc(h).State, "not reached")
	h.AsUser = Outcomes{"proc": eperm}
	require.Equal(t, No, freshProc(h).State)
	require.Contains(t, freshProc(h).Mend[0], "findmnt")
	require.Contains(t, freshProc(h.with(map[string]string{"/.dockerenv": ""})).Mend[0], "systempaths=unconfined")
}

func TestAChroot(t *testing.T) {
	h := made(nil)
	h.AsUser = Outcomes{"private": {Call: "mount", Errno: unix.EINVAL}}
	require.Contains(t, mountInside(h).Text, "this must be a chroot")
}

func TestPropagation(t *testing.T) {
	require.Equal(t, "/ is shared", propagation(made(map[string]string{mountinfo: "1 0 8:1 / / rw shared:1 - ext4 a rw"})).Brief)
	require.Equal(t, "/ is private", propagation(made(map[string]string{mountinfo: "1 0 8:1 / / rw master:1 - ext4 a rw"})).Brief)
}

func TestRootIsToldOfOrdinaryUsers(t *testing.T) {
	h := made(nil).root()
	require.Equal(t, Silent, ordinaryUsers(h).State, "could not be tried")
	h.AsUser = Outcomes{"user": worked, "mnt": eperm}
	require.Equal(t, Less, ordinaryUsers(h).State)
	h.AsUser["mnt"] = worked
	require.Equal(t, OK, ordinaryUsers(h).State)
}

func TestIDRanges(t *testing.T) {
	h := made(map[string]string{
		"/etc/passwd": "alice:x:1000:1000::/:/bin/sh",
		"/etc/subuid": "bob:100000:65536\nalice:165536:65536\n# comment\nalice:x:1\n1000:300000:10\nalice:-1:5\nalice:5:0\n",
	})
	require.Equal(t, []idRange{{"alice", 165536, 65536}, {"1000", 300000, 10}}, h.subordinate("/etc/subuid"))
	require.Empty(t, h.subordinate("/etc/subgid"))
}

func withMappers(h *Host, mode fs.FileMode) *Host {
	for _, name := range []string{"usr/bin/newuidmap", "usr/bin/newgidmap"} {
		h.Files.(fstest.MapFS)[name] = &fstest.MapFile{Mode: mode}
	}
	return h
}

func TestSubordinateIDs(t *testing.T) {
	files := map[string]string{"/etc/os-release": "ID=debian", "/etc/passwd": "alice:x:1000:1000::/:/bin/sh", "/etc/subuid": "bob:100000:65536\n"}
	h := made(files)
	require.Equal(t, []string{"sudo apt-get install uidmap"}, subordinateIDs(h).Mend)
	require.Equal(t, []string{"sudo chmod u+s /usr/bin/newuidmap"}, subordinateIDs(withMappers(h, 0o755)).Mend)
	h.HasCaps = func(string) bool { return true }
	require.Equal(t, []string{"echo alice:165536:65536 | sudo tee -a /etc/subuid /etc/subgid"}, subordinateIDs(h).Mend)
	h.HasCaps = func(string) bool { return false }
	withMappers(h, fs.ModeSetuid|0o755).with(map[string]string{"/etc/subuid": "alice:100000:65536\n"})
	require.Equal(t, []string{"echo alice:165536:65536 | sudo tee -a /etc/subgid"}, subordinateIDs(h).Mend)
	h.with(map[string]string{"/etc/subgid": "alice:100000:65536\n"})
	require.Equal(t, "alice has 65536 ids from 100000 on, and newuidmap maps them", subordinateIDs(h).Text)
	h.AsUser = Outcomes{"newuidmap": {Call: "newuidmap", Said: "write to uid_map failed"}}
	require.Equal(t, Less, subordinateIDs(h).State)
}
