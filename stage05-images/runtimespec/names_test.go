package runtimespec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/devnode"
)

// TestParsePriorities: what is not asked for stays nil, and the first field that is wrong is named.
func TestParsePriorities(t *testing.T) {
	parse := func(l specs.Linux, p specs.Process) (Priorities, error) {
		return ParsePriorities(&l, &p, func(text string) { t.Log(text) })
	}
	o, err := parse(specs.Linux{}, specs.Process{})
	require.NoError(t, err)
	require.Equal(t, Priorities{}, o)
	score, limit := -5, []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}}
	o, err = parse(specs.Linux{Personality: &specs.LinuxPersonality{Domain: specs.PerLinux32}}, specs.Process{OOMScoreAdj: &score, Rlimits: limit,
		Scheduler:  &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}},
		IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4}})
	require.NoError(t, err)
	require.Equal(t, []int{-5, 2<<13 | 4, 8}, []int{*o.OOMScoreAdj, *o.IOPriority, *o.Personality})
	require.Equal(t, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: 3, Flags: 1, Nice: 5}, o.Scheduler)
	require.Len(t, o.Limits, 1)
	require.Equal(t, "core", o.Limits[0].Name)
	bad := specs.LinuxPersonality{Domain: "X"}
	for says, p := range map[string]specs.Process{
		`process.scheduler.policy "X": there is no such policy`:      {Scheduler: &specs.Scheduler{Policy: "X"}, IOPriority: &specs.LinuxIOPriority{}},
		"process.ioPriority: a class of IOPRIO_CLASS_RT, BE or IDLE": {IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_RT, Priority: 8}},
		`linux.personality.domain "X": it is LINUX or LINUX32`:       {Rlimits: []specs.POSIXRlimit{{Type: "X"}}},
	} {
		_, err := parse(specs.Linux{Personality: &bad}, p)
		require.ErrorContains(t, err, says)
	}
	_, err = parse(specs.Linux{}, specs.Process{Rlimits: append(limit, limit...)})
	require.EqualError(t, err, "process.rlimits[1].type: duplicate RLIMIT_CORE")
}

// TestRaisedLimitIsNamed: a hard limit that box may not raise stays as it is, and a warning says so.
func TestRaisedLimitIsNamed(t *testing.T) {
	var now unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &now))
	var said []string
	o, err := ParsePriorities(&specs.Linux{}, &specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: now.Max + 1, Hard: now.Max + 1}}},
		func(text string) { said = append(said, text) })
	require.NoError(t, err)
	if o.Limits[0].Max == now.Max {
		require.Len(t, said, 1)
		require.Contains(t, said[0], "process.rlimits: only CAP_SYS_RESOURCE raises a hard limit: nofile stays at ")
		require.Equal(t, now.Max, o.Limits[0].Cur)
	} else {
		require.Empty(t, said)
	}
}

func TestDevice(t *testing.T) {
	bare := &specs.Spec{Root: &specs.Root{Path: t.TempDir()}}
	mode, gid := os.FileMode(0o640), uint32(7)
	node, uid, got, err := Device(bare, specs.LinuxDevice{Path: "/dev/../dev/made/zero", Type: "c", Major: 1, Minor: 5, FileMode: &mode, GID: &gid})
	require.NoError(t, err)
	require.Equal(t, devnode.Node{Target: "dev/made/zero", Kind: unix.S_IFCHR, Major: 1, Minor: 5, Mode: 0o640}, node)
	require.Equal(t, []int{-1, 7}, []int{uid, got})
	node, _, _, err = Device(bare, specs.LinuxDevice{Path: "dev/fifo", Type: "p"})
	require.NoError(t, err)
	require.Equal(t, devnode.Node{Target: "dev/fifo", Kind: unix.S_IFIFO, Mode: 0o666}, node)
	_, _, _, err = Device(bare, specs.LinuxDevice{Type: "z"})
	require.EqualError(t, err, `type: unknown device type "z": use b, c, u or p`)
}

func TestPropagation(t *testing.T) {
	const private, slave = uint64(unix.MS_REC | unix.MS_PRIVATE), uint64(unix.MS_REC | unix.MS_SLAVE)
	for text, want := range map[string][2]uint64{
		"": {private, private}, "private": {unix.MS_PRIVATE, private}, "unbindable": {unix.MS_UNBINDABLE, private},
		"rshared": {unix.MS_REC | unix.MS_SHARED, slave}, "slave": {unix.MS_SLAVE, slave},
	} {
		value, first, err := Propagation(text)
		require.NoError(t, err)
		require.Equal(t, want, [2]uint64{value, first}, text)
	}
	_, _, err := Propagation("other")
	require.ErrorContains(t, err, `linux.rootfsPropagation "other": there are private, rprivate`)
}

func TestIsBare(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "full/sub"), 0o755))
	require.NoError(t, os.Symlink("/full", filepath.Join(dir, "link")))
	spec := &specs.Spec{Root: &specs.Root{Path: dir}}
	for name, want := range map[string]bool{"/full": false, "/link": false, "/full/sub": true, "/none": true} {
		require.Equal(t, want, IsBare(spec, name), name)
	}
}

// TestDeviceIsThereAlready: a device that is the one wanted may be there, and nothing else.
func TestDeviceIsThereAlready(t *testing.T) {
	host := &specs.Spec{Root: &specs.Root{Path: "/"}}
	null := specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}
	_, _, _, err := Device(host, null)
	require.NoError(t, err)
	const said = `path "/dev/null": the root filesystem has something else there; use another path`
	for _, other := range []specs.LinuxDevice{{Path: null.Path, Type: "c", Major: 1, Minor: 5}, {Path: null.Path, Type: "b", Major: 1, Minor: 3}, {Path: null.Path, Type: "p"}} {
		_, _, _, err = Device(host, other)
		require.EqualError(t, err, said)
	}
	host.Mounts = []specs.Mount{{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"}}
	_, _, _, err = Device(host, specs.LinuxDevice{Path: null.Path, Type: "p"})
	require.NoError(t, err, "the root's own is covered")
	file := &specs.Spec{Root: &specs.Root{Path: t.TempDir()}}
	require.NoError(t, os.WriteFile(filepath.Join(file.Root.Path, "null"), nil, 0o600))
	null.Path = "/null"
	_, _, _, err = Device(file, null)
	require.ErrorContains(t, err, `path "/null": the root filesystem has something else`)
}

// TestRefuse: what box does not do is named, and what asks for nothing is no matter.
func TestRefuse(t *testing.T) {
	id := uint32(1)
	for want, change := range map[string]func(*specs.Spec){
		"":                                       func(*specs.Spec) {},
		"linux.mountLabel: not supported":        func(s *specs.Spec) { s.Linux.MountLabel = "x" },
		"linux.intelRdt: not supported":          func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} },
		"linux.memoryPolicy: not supported":      func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{} },
		"linux.netDevices: not supported":        func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth0": {}} },
		"linux.resources.network: not supported": func(s *specs.Spec) { s.Linux.Resources.Network = &specs.LinuxNetwork{ClassID: &id} },
		"linux.resources.rdma: not supported":    func(s *specs.Spec) { s.Linux.Resources.Rdma = map[string]specs.LinuxRdma{"a": {}} },
		"windows: not supported":                 func(s *specs.Spec) { s.Windows = &specs.Windows{} },
		"vm: not supported":                      func(s *specs.Spec) { s.VM = &specs.VM{} },
		"solaris: not supported":                 func(s *specs.Spec) { s.Solaris = &specs.Solaris{} },
		"linux.seccomp: SCMP_ACT_NOTIFY is not supported": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActNotify}
		},
		"linux.seccomp.syscalls[1].action: SCMP_ACT_NOTIFY is not supported": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{Syscalls: []specs.LinuxSyscall{{Action: specs.ActAllow}, {Action: specs.ActNotify}}}
		},
	} {
		spec := &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{Network: &specs.LinuxNetwork{}}}}
		change(spec)
		if err := Refuse(spec); want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
	}
	require.EqualError(t, Refuse(&specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{},
		Seccomp: &specs.LinuxSeccomp{ListenerPath: "/x"}}}), "linux.seccomp: SCMP_ACT_NOTIFY is not supported")
}

// TestHooks: a hook has an absolute path, and time to run if any is said.
func TestHooks(t *testing.T) {
	hooks := func(path string, timeout *int) error {
		return checkHooks(&specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/true"}, {Path: path, Timeout: timeout}}})
	}
	none, one := 0, 1
	require.NoError(t, hooks("/bin/true", nil))
	require.NoError(t, hooks("/bin/true", &one))
	require.EqualError(t, hooks("true", nil), `hooks.poststop[1].path "true": must be an absolute path`)
	require.EqualError(t, hooks("/bin/true", &none), "hooks.poststop[1].timeout: must be more than 0 seconds")
}
