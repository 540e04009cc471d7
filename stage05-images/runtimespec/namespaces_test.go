package runtimespec

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// flagOf knows three namespaces.
func flagOf(name string) (uint64, error) {
	flag := map[string]uint64{"mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET, "user": unix.CLONE_NEWUSER}[name]
	if flag == 0 {
		return 0, errors.New(name + ": no such namespace")
	}
	return flag, nil
}

func TestSortNamespaces(t *testing.T) {
	spec := func(list ...specs.LinuxNamespace) *specs.Spec {
		return &specs.Spec{Linux: &specs.Linux{Namespaces: list}}
	}
	mount, network := specs.LinuxNamespace{Type: specs.MountNamespace}, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/self/ns/net"}
	user := specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/proc/self/ns/user"}
	n, err := SortNamespaces(spec(mount, network, user), flagOf)
	require.NoError(t, err)
	require.EqualValues(t, unix.CLONE_NEWNS, n.New)
	joined := n.Joined
	require.Len(t, joined, 2)
	require.Equal(t, []string{user.Path, network.Path}, []string{joined[0].Path, joined[1].Path}, "user first")
	for _, j := range joined {
		kind, err := unix.IoctlRetInt(j.FD, unix.NS_GET_NSTYPE)
		require.NoError(t, err)
		require.EqualValues(t, j.Flag, kind)
		require.NoError(t, unix.Close(j.FD))
	}
	for says, list := range map[string][]specs.LinuxNamespace{
		"linux.namespaces[1].type: duplicate network":                                             {network, network},
		"linux.namespaces[0].type: other: no such namespace":                                      {{Type: "other"}},
		`linux.namespaces[0].path "/proc/self/ns/net": it is a namespace of another type`:         {{Type: specs.MountNamespace, Path: network.Path}},
		`linux.namespaces[0].path "/dev/null": it is not a namespace`:                             {{Type: specs.MountNamespace, Path: "/dev/null"}},
		`linux.namespaces[0].path "/proc/self/ns/mnt": it is box's own mount namespace, whose`:    {{Type: specs.MountNamespace, Path: "/proc/self/ns/mnt"}},
		"linux.namespaces: there is no mount namespace, and box would change the host's own root": {network},
	} {
		_, err := SortNamespaces(spec(list...), flagOf)
		require.ErrorContains(t, err, says)
	}
}

// TestNamespaces: what is joined, and the offset of a clock, decide who makes the new namespaces, and when.
func TestNamespaces(t *testing.T) {
	const fresh = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP
	network, user, pid := Joining{Flag: unix.CLONE_NEWNET}, Joining{Flag: unix.CLONE_NEWUSER}, Joining{Flag: unix.CLONE_NEWPID}
	for _, c := range []struct {
		n        Namespaces
		bornWith uint64
		forks    bool
	}{
		{Namespaces{New: fresh}, unix.CLONE_NEWNS, false},
		{Namespaces{New: fresh, Joined: []Joining{network}}, unix.CLONE_NEWNS, false},
		{Namespaces{New: fresh, Joined: []Joining{network, pid}}, unix.CLONE_NEWNS, true},
		{Namespaces{New: fresh, Joined: []Joining{user, network}}, 0, true},
		{Namespaces{New: fresh | unix.CLONE_NEWUSER}, unix.CLONE_NEWNS | unix.CLONE_NEWUSER, false},
		{Namespaces{New: fresh | unix.CLONE_NEWUSER, Joined: []Joining{network}}, 0, true},
		{Namespaces{New: fresh, offsets: true}, 0, true},
	} {
		require.Equal(t, c.bornWith, c.n.BornWith(), c.n)
		require.Equal(t, c.bornWith == 0, c.n.Unshares(), c.n)
		require.Equal(t, c.forks, c.n.Forks(), c.n)
	}
}

func TestMapIDs(t *testing.T) {
	list := []specs.LinuxIDMapping{{HostID: 100000, Size: 10}, {ContainerID: 10, HostID: 200000, Size: 5}}
	m := MapIDs(&specs.Linux{UIDMappings: list, GIDMappings: list[:1]})
	require.Equal(t, IDMaps{UIDs: "0 100000 10\n10 200000 5\n", GIDs: "0 100000 10\n", ByPrograms: os.Geteuid() != 0}, m)
	own := func(id int) []specs.LinuxIDMapping { return []specs.LinuxIDMapping{{HostID: uint32(id), Size: 1}} }
	m = MapIDs(&specs.Linux{UIDMappings: own(os.Geteuid()), GIDMappings: own(os.Getegid())})
	require.False(t, m.ByPrograms)
	require.Equal(t, os.Geteuid() != 0, m.DenyGroups)
	container := &specs.Linux{UIDMappings: list, GIDMappings: list}
	uids, gids, err := MapIDsOf(specs.Mount{UIDMappings: own(1), GIDMappings: own(2)}, container)
	require.NoError(t, err)
	require.Equal(t, "0 1 1\n|0 2 1\n", uids+"|"+gids)
	uids, _, err = MapIDsOf(specs.Mount{}, container)
	require.NoError(t, err)
	require.Equal(t, "0 100000 10\n10 200000 5\n", uids)
	_, _, err = MapIDsOf(specs.Mount{UIDMappings: own(1)}, container)
	require.EqualError(t, err, "uidMappings, gidMappings: an id-mapped mount needs both")
}

func TestSysctls(t *testing.T) {
	spec := &specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.NetworkNamespace}},
		Sysctl: map[string]string{"net.ipv4.ip_forward": "1", "net.core.somaxconn": "7"}}}
	list, err := Sysctls(spec)
	require.NoError(t, err)
	require.Equal(t, []Sysctl{{"/proc/sys/net/core/somaxconn", "7"}, {"/proc/sys/net/ipv4/ip_forward", "1"}}, list)
	spec.Linux.Sysctl = map[string]string{"net/ipv4/conf/eth0.5/forwarding": "1"}
	list, err = Sysctls(spec)
	require.NoError(t, err)
	require.Equal(t, []Sysctl{{"/proc/sys/net/ipv4/conf/eth0.5/forwarding", "1"}}, list)
	spec.Linux.Sysctl = map[string]string{"net/../vm/swappiness": "1"}
	_, err = Sysctls(spec)
	require.EqualError(t, err, "linux.sysctl[net/../vm/swappiness]: no name of a setting")
	spec.Linux.Sysctl = map[string]string{"vm.swappiness": "1"}
	_, err = Sysctls(spec)
	require.EqualError(t, err, "linux.sysctl[vm.swappiness]: the setting is the host's, not the container's")
}

func TestTimeOffsets(t *testing.T) {
	spec := &specs.Spec{Linux: &specs.Linux{TimeOffsets: map[string]specs.LinuxTimeOffset{
		"monotonic": {Secs: 5, Nanosecs: 7}, "boottime": {Secs: -1}}}}
	require.Equal(t, []string{"boottime -1 0\n", "monotonic 5 7\n"}, TimeOffsets(spec))
}

func TestMapsOnly(t *testing.T) {
	own := []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
	require.True(t, mapsOnly(own, 1000))
	require.False(t, mapsOnly(own, 1001))
	require.False(t, mapsOnly(append(own, own...), 1000))
	require.False(t, mapsOnly([]specs.LinuxIDMapping{{HostID: 1000, Size: 2}}, 1000))
	require.False(t, mapsOnly(nil, 0))
}

func TestChangesOfACopiedMount(t *testing.T) {
	changes := func(options ...string) []Change {
		o, err := ParseMount(specs.Mount{Type: "bind", Options: options})
		require.NoError(t, err)
		return o.Changes()
	}
	require.Empty(t, changes())
	require.Equal(t, []Change{
		{unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Attr_clr: unix.MOUNT_ATTR_NOSUID}, 0},
		{unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV}, unix.AT_RECURSIVE},
		{unix.MountAttr{Propagation: unix.MS_SLAVE}, unix.AT_RECURSIVE},
	}, changes("ro", "suid", "rnodev", "rslave"))
	require.Equal(t, []Change{{unix.MountAttr{Propagation: unix.MS_PRIVATE}, 0}}, changes("private"))
	o, err := ParseMount(specs.Mount{Type: "tmpfs", Options: []string{"ro", "suid", "rnodev", "rslave"}})
	require.NoError(t, err)
	require.Equal(t, []Change{{unix.MountAttr{Propagation: unix.MS_SLAVE}, 0}}, o.Changes(), "a new one")
}

func TestHasHostsDev(t *testing.T) {
	has := func(m specs.Mount) bool { return HasHostsDev(&specs.Spec{Mounts: []specs.Mount{m}}) }
	require.True(t, has(specs.Mount{Destination: "/dev/", Type: "bind", Source: "/dev"}))
	require.True(t, has(specs.Mount{Destination: "/dev", Source: "/dev", Options: []string{"rbind"}}))
	require.False(t, has(specs.Mount{Destination: "/dev", Type: "tmpfs"}))
	require.False(t, has(specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm"}))
}

func TestSeccomp(t *testing.T) {
	code, flags, err := Seccomp(nil)
	require.NoError(t, err)
	require.Nil(t, code)
	require.Zero(t, flags)
	profile := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}}
	code, flags, err = Seccomp(profile)
	require.NoError(t, err)
	require.NotEmpty(t, code)
	require.Equal(t, unix.SECCOMP_FILTER_FLAG_LOG, flags)
	profile.Flags = append(profile.Flags, "other")
	_, _, err = Seccomp(profile)
	require.EqualError(t, err, `linux.seccomp.flags[1] "other": not supported`)
}

func TestHookProcess(t *testing.T) {
	own := &specs.Process{Terminal: true, Args: []string{"sh"}, Env: []string{"A=1"}, Cwd: "/w"}
	got := HookProcess(&specs.Spec{Process: own}, specs.Hook{Path: "/hook", Args: []string{"called", "x"}, Env: []string{"B=2"}})
	require.Equal(t, &specs.Process{Args: []string{"/hook", "x"}, Env: []string{"B=2"}, Cwd: "/w"}, got)
	require.Equal(t, []string{"sh"}, own.Args)
	require.Equal(t, []string{"/hook"}, HookProcess(&specs.Spec{Process: own}, specs.Hook{Path: "/hook"}).Args)
}

// TestTheHostsNamespacesByPath: a bundle may join the namespaces that box is in by their files in /proc.
// A setting in them would be one of the host.
func TestTheHostsNamespacesByPath(t *testing.T) {
	other := exec.Command("unshare", "-Urnu", "sleep", "1000")
	require.NoError(t, other.Start())
	defer func() { require.NoError(t, errors.Join(other.Process.Kill(), ignoreKilled(other.Wait()))) }()
	proc := fmt.Sprintf("/proc/%d/ns/", other.Process.Pid)
	require.Eventually(t, func() bool {
		return !sameFile(t, proc+"uts", "/proc/self/ns/uts") && !sameFile(t, proc+"net", "/proc/self/ns/net")
	}, time.Minute, time.Millisecond)
	with := func(kind specs.LinuxNamespaceType, path string) *specs.Spec {
		return &specs.Spec{Hostname: "h", Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: kind, Path: path}}}}
	}
	require.ErrorContains(t, checkNamespaces(with(specs.UTSNamespace, "/proc/self/ns/uts")), "would rename the host")
	require.NoError(t, checkNamespaces(with(specs.UTSNamespace, proc+"uts")))
	require.ErrorContains(t, checkSysctl(with(specs.NetworkNamespace, "/proc/self/ns/net"), "net.ipv4.ip_forward"), "is the host's")
	require.NoError(t, checkSysctl(with(specs.NetworkNamespace, proc+"net"), "net.ipv4.ip_forward"))
	require.NoError(t, checkSysctl(with(specs.NetworkNamespace, ""), "net.ipv4.ip_forward"))
}

func sameFile(t *testing.T, a, b string) bool {
	first, err := os.Stat(a)
	require.NoError(t, err)
	second, err := os.Stat(b)
	require.NoError(t, err)
	return os.SameFile(first, second)
}

// ignoreKilled is the error of a process that was not ended by a signal.
func ignoreKilled(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil
	}
	return err
}
