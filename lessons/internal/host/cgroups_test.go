package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const onV2 = `1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
`

const onV1 = `1 0 8:1 / / rw - ext4 /dev/sda1 rw
30 1 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 30 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
`

const hybrid = onV1 + "36 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"

// session is a login on a host with systemd: alice's shell is in a scope that nobody delegated.
func session() *Host {
	const scope = "/user.slice/user-1000.slice/session-3.scope"
	return made(map[string]string{
		mountinfo:                           onV2,
		"/etc/passwd":                       "alice:x:1000:1000::/home/alice:/bin/sh",
		"/proc/self/cgroup":                 "0::" + scope + "\n",
		"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids",
		"/sys/fs/cgroup" + scope + "/cgroup.procs":  "1",
		"/sys/fs/cgroup/user.slice/memory.max":      "max",
		"/sys/fs/cgroup/user.slice/memory.swap.max": "max",
		"/proc/pressure/memory":                     "some avg10=0.00",
		"/run/systemd/system/x":                     "",
		"/usr/bin/systemd-run":                      "",
	})
}

func denied(errno unix.Errno, dir string) func(string) error {
	return func(path string) error {
		if strings.HasPrefix(path, dir) {
			return errno
		}
		return nil
	}
}

func TestCgroupVersion(t *testing.T) {
	controllers := map[string]string{"/sys/fs/cgroup/cgroup.controllers": "cpu memory pids"}
	for brief, h := range map[string]*Host{
		"v2":             made(controllers).with(map[string]string{mountinfo: onV2}),
		"no controllers": made(map[string]string{mountinfo: onV2}),
		"v1":             made(map[string]string{mountinfo: onV1}),
		"v1 (hybrid)":    made(map[string]string{mountinfo: hybrid, "/sys/fs/cgroup/unified/cgroup.controllers": ""}),
	} {
		found := cgroupVersion(h)
		require.Equal(t, brief, found.Brief)
		require.Equal(t, OK, found.State)
	}
	none := cgroupVersion(made(map[string]string{mountinfo: "1 0 8:1 / / rw - ext4 a rw"}))
	require.Equal(t, No, none.State)
	require.Equal(t, []string{"sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup"}, none.Mend)
}

// The mount point is read, not assumed.
func TestCgroupsElsewhere(t *testing.T) {
	h := made(map[string]string{mountinfo: "30 1 0:26 / /cg rw - cgroup2 none rw", "/cg/cgroup.controllers": "memory cpu pids"})
	require.Equal(t, "version 2 at /cg", cgroupVersion(h).Text)
}

func TestOwnGroupOfEachTree(t *testing.T) {
	h := made(map[string]string{mountinfo: hybrid, "/proc/self/cgroup": `5:blkio:/
4:memory:/a/b
3:cpu,cpuacct:/c
2:pids:/d
1:name=systemd:/e
0::/f
`})
	var own []string
	for _, tree := range h.hierarchies() {
		own = append(own, tree.own)
	}
	require.Equal(t, []string{"/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/cpu,cpuacct/c", "/sys/fs/cgroup/pids/d",
		"/sys/fs/cgroup/blkio", "/sys/fs/cgroup/unified/f"}, own)
}

func TestOwnGroupInAContainer(t *testing.T) {
	for name, c := range map[string]struct{ root, path, want string }{
		"a bind mount of our group":    {"/docker/abc", "/docker/abc", "/sys/fs/cgroup"},
		"a group below it":             {"/docker/abc", "/docker/abc/x", "/sys/fs/cgroup/x"},
		"a cgroup namespace":           {"/", "/", "/sys/fs/cgroup"},
		"a group outside of the mount": {"/docker/abc", "/../other", "/sys/fs/cgroup"},
	} {
		h := made(map[string]string{
			mountinfo:           "30 1 0:26 " + c.root + " /sys/fs/cgroup rw - cgroup2 none rw",
			"/proc/self/cgroup": "0::" + c.path,
		})
		require.Equal(t, c.want, h.hierarchies()[0].own, name)
	}
}

func TestControllers(t *testing.T) {
	h := session()
	h.Writes = denied(unix.EACCES, "/sys/fs/cgroup")
	require.Equal(t, OK, controllers(h).State)
	require.Equal(t, OK, controllers(session().root()).State)
	found := controllers(made(map[string]string{mountinfo: onV1}))
	require.Equal(t, Less, found.State)
	require.Equal(t, "no controller here for cpuset, devices, freezer: limits on it are refused", found.Text)
	require.Equal(t, No, controllers(made(map[string]string{mountinfo: onV2})).State)
}

func TestAControllerThatWasSwitchedOffAtBoot(t *testing.T) {
	h := made(map[string]string{mountinfo: onV2, "/sys/fs/cgroup/cgroup.controllers": "cpu cpuset io pids",
		"/proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t5\t1\nmemory\t0\t5\t0\n"})
	require.Equal(t, []string{"boot with cgroup_enable=memory on the kernel command line"}, controllers(h).Mend)
}

func TestASessionIsNotDelegated(t *testing.T) {
	h := session()
	h.Writes = denied(unix.EACCES, "/sys/fs/cgroup")
	found := ownGroup(h)
	require.Equal(t, No, found.State)
	require.Contains(t, found.Text, "session-3.scope")
	require.Equal(t, []string{"systemd-run --user --scope -p Delegate=yes $SHELL   # and go on in that shell"}, found.Mend)
}

// systemd hands on memory and pids, and the others only when told.
func TestADelegatedScopeWithoutAllControllers(t *testing.T) {
	const scope = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope"
	h := session().with(map[string]string{
		"/proc/self/cgroup": "0::" + scope,
		"/sys/fs/cgroup" + scope + "/cgroup.controllers": "memory pids",
	})
	require.Equal(t, OK, ownGroup(h).State)
	found := controllers(h)
	require.Equal(t, Less, found.State)
	require.Equal(t, "not delegated to alice: cpu, cpuset, io", found.Text)
	require.Contains(t, found.Mend[0], "Delegate=cpu cpuset io memory pids")
}

func TestDelegationByHand(t *testing.T) {
	h := made(map[string]string{mountinfo: hybrid, "/etc/passwd": "alice:x:1000:1000::/:/bin/sh"})
	h.Writes = denied(unix.EACCES, "/sys/fs/cgroup")
	mend := strings.Join(ownGroup(h).Mend, "\n")
	for _, tree := range []string{"memory", "cpu,cpuacct", "pids"} {
		require.Contains(t, mend, fmt.Sprintf("echo $$ | sudo tee /sys/fs/cgroup/%s/box-alice/cgroup.procs", tree))
	}
	require.NotContains(t, mend, "blkio")
}

func TestAReadOnlyTree(t *testing.T) {
	h := session().root()
	h.Writes = denied(unix.EROFS, "/sys/fs/cgroup")
	require.Equal(t, []string{"mount -o remount,rw /sys/fs/cgroup"}, ownGroup(h).Mend)
	h.with(map[string]string{"/.dockerenv": ""})
	require.Equal(t, []string{"start this container with: docker run --privileged …"}, ownGroup(h).Mend)
}

func TestSwapAccounting(t *testing.T) {
	require.Equal(t, OK, swapAccounting(session()).State)
	without := map[string]string{mountinfo: onV2, "/sys/fs/cgroup/cgroup.controllers": "memory"}
	require.Equal(t, Silent, swapAccounting(made(without)).State, "memory is enabled nowhere yet: unknown")
	require.Equal(t, Less, swapAccounting(made(without).with(map[string]string{"/sys/fs/cgroup/a/memory.max": "max"})).State)
	v1 := map[string]string{mountinfo: onV1, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1"}
	require.Equal(t, Less, swapAccounting(made(v1)).State)
	require.Equal(t, OK, swapAccounting(made(v1).with(map[string]string{"/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes": "1"})).State)
}

func TestPressure(t *testing.T) {
	require.Equal(t, OK, pressure(session()).State)
	require.Equal(t, Less, pressure(made(nil)).State)
}

func TestDelegationByHandOnV2(t *testing.T) {
	h := made(map[string]string{mountinfo: onV2, "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids io"})
	h.Writes = denied(unix.EACCES, "/sys/fs/cgroup")
	require.Equal(t, []string{
		"echo +memory +cpu +pids +io | sudo tee /sys/fs/cgroup/cgroup.subtree_control",
		"sudo mkdir -p /sys/fs/cgroup/box-1000",
		"sudo chown -R 1000 /sys/fs/cgroup/box-1000",
		"echo $$ | sudo tee /sys/fs/cgroup/box-1000/cgroup.procs",
	}, ownGroup(h).Mend)
}
