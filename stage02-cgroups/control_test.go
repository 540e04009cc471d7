package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

// An update that the kernel refuses must not leave a container with less of a limit than it had.
func TestAnUpdateThatFailsLiftsNoLimit(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(t cgroupfs.Tree) bool { return slices.Contains(t.Controllers, "memory") })
	if i < 0 || os.Geteuid() != 0 || cgroupfs.Number(all[i].Mount+"/memory.memsw.limit_in_bytes") < 0 || units.HasSwap() {
		t.Skip("needs root, and a memory controller of version 1 that counts swap, on a host without any")
	}
	cmd := exec.Command(box, "run", "-m", "64m", "--memory-swap", "80m", "sh", "-c", "{ head -c 30000000 /dev/zero; sleep 1000; } | tail -c 30000000")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Signal(unix.SIGTERM)
	dir := filepath.Join(all[i].Mount, "box-"+strconv.Itoa(cmd.Process.Pid)+"-1")
	require.Eventually(t, func() bool { return cgroupfs.Number(dir+"/memory.usage_in_bytes") > 30000000 }, time.Minute, 5*time.Millisecond)
	pid := cgroupfs.Words(dir + "/cgroup.procs")[0]
	_, stderr, status := run(t, "update", "-m", "8m", "--memory-swap", "8m", pid)
	require.Equal(t, 1, status, stderr)
	require.EqualValues(t, 80<<20, cgroupfs.Number(dir+"/memory.memsw.limit_in_bytes"))
	_, stderr, status = run(t, "update", "-m", "96m", "--memory-swap", "96m", pid)
	require.Zero(t, status, stderr)
	require.EqualValues(t, 96<<20, cgroupfs.Number(dir+"/memory.limit_in_bytes"))
}

// A container that ends during an update is not taken for a kernel that lacks the limit.
func TestAnUpdateOfWhatHasEndedSaysSo(t *testing.T) {
	cmd := exec.Command(box, "run", "--pids-limit", "9", "cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer in.Close()
	_, err = in.Write([]byte("x"))
	require.NoError(t, err)
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Skip("there may be no limit: this needs root, and a controller of pids")
	}
	groups, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/box-%d-1", cmd.Process.Pid))
	require.NoError(t, err)
	groups = append(groups, fmt.Sprintf("/sys/fs/cgroup/box-%d-1", cmd.Process.Pid))
	pid, err := strconv.Atoi(cgroupfs.Words(groups[0] + "/cgroup.procs")[0])
	require.NoError(t, err)
	g, err := groupOf(pid)
	require.NoError(t, err)
	update := &updateCmd{PID: pid, Limits: Limits{Limits: units.Limits{PidsLimit: 10}}}
	require.NoError(t, update.apply(g, update.settings()))
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.EqualError(t, update.apply(g, update.settings()), fmt.Sprintf("no such process: %d has ended, and its cgroup is gone", pid))
}

// What a killed box has left is removed by the next one, unless that shall only tell. The
// test has a parent of its own, where nobody else's box tidies up.
func TestADryRunRemovesNoGroup(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	if len(all) == 0 || os.Geteuid() != 0 {
		t.Skip("needs root, and a tree of cgroups")
	}
	parent := "box-test-" + strconv.Itoa(os.Getpid())
	for _, tree := range all {
		dir := filepath.Join(tree.Mount, parent)
		require.NoError(t, os.Mkdir(dir, 0o755))
		defer removeGroup(dir)
	}
	at := slices.IndexFunc(all, func(t cgroupfs.Tree) bool { return placeIn(t, parent, nil) != "" })
	left := filepath.Join(all[at].Mount, parent, "box-4194399-1") // nobody holds a lock on it
	require.NoError(t, os.Mkdir(left, 0o755))
	_, stderr, status := run(t, "run", "--cgroup-parent", parent, "--dry-run", "true")
	require.Zero(t, status, stderr)
	require.DirExists(t, left)
	_, stderr, status = run(t, "run", "--cgroup-parent", parent, "true")
	require.Zero(t, status, stderr)
	require.NoDirExists(t, left)
}

// A box in a PID namespace of its own cannot see the boxes of the host, and may have the number
// of one of them. It takes no living group for a leftover, and a dead one for nothing else. Where
// there is version 1 alone, which the test makes so for its boxes, that is as it is elsewhere.
func TestABoxInAnotherPIDNamespaceSparesLivingGroups(t *testing.T) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(t, err)
	if os.Geteuid() != 0 || len(all) == 0 {
		t.Skip("needs root, and a tree of cgroups")
	}
	hideV2 := "true"
	for _, tree := range all {
		if tree.V2 {
			hideV2 = "umount -l " + tree.Mount
		}
	}
	for name, hide := range map[string]string{"as it is": "true", "version 1": hideV2} {
		t.Run(name, func(t *testing.T) {
			parent := "box-test-" + strconv.Itoa(os.Getpid())
			for _, tree := range all {
				dir := filepath.Join(tree.Mount, parent)
				require.NoError(t, os.Mkdir(dir, 0o755))
				defer removeGroup(dir)
			}
			command := func(namespaces []string, argv string) *exec.Cmd {
				script := hide + ` && exec "$0" run --cgroup-parent "$1" ` + argv
				cmd := exec.Command("unshare", append(namespaces, "sh", "-c", script, box, parent)...)
				cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
				return cmd
			}
			groups := func() (list []string) {
				for _, tree := range all {
					found, _ := filepath.Glob(filepath.Join(tree.Mount, parent, "box-*"))
					list = append(list, found...)
				}
				return list
			}
			outer := command([]string{"-m"}, "sh -c 'echo ready; exec sleep 1000'")
			out, err := outer.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, outer.Start())
			defer outer.Wait()
			defer outer.Process.Kill()
			_, err = out.Read(make([]byte, 6)) // it is in its groups
			require.NoError(t, err)
			living := groups()
			if len(living) == 0 {
				t.Skip("there is no tree of version 1 that counts")
			}
			nested := func() {
				said, err := command([]string{"-m", "-p", "-f", "--mount-proc"}, "true").CombinedOutput()
				require.NoError(t, err, string(said))
				require.Empty(t, string(said), "it has tried to remove a group, whose processes it does not see")
			}
			nested()
			require.Equal(t, living, groups())
			for _, dir := range living {
				require.NotEmpty(t, cgroupfs.Words(dir+"/cgroup.procs"), dir)
			}
			require.NoError(t, outer.Process.Kill())
			outer.Wait()
			nested()
			require.Empty(t, groups(), "the control: without a lock they are removed")
		})
	}
}

// A group that a box is about to lock is none of its leftovers, for ten seconds.
func TestAGroupThatIsBeingMadeIsSpared(t *testing.T) {
	dir := t.TempDir()
	open := func(mode os.FileMode) int {
		require.NoError(t, os.Chmod(dir, mode))
		fd, err := unix.Open(dir, unix.O_RDONLY, 0)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	made := open(0o755)
	require.True(t, isLeft(made), "a finished group without a lock")
	require.False(t, isLeft(open(0o755)), "locked by the look before")
	require.NoError(t, unix.Flock(made, unix.LOCK_UN))
	require.False(t, isLeft(open(makingMode)))
}

func TestNamesOfGroups(t *testing.T) {
	for _, name := range []string{"box-4711-1", "box-4711", "box-0123456789ab"} {
		require.True(t, isGroup(name), name)
	}
	for _, name := range []string{"box", "box-", "box-test-1", "stagebox-check-1", "mybox-1"} {
		require.False(t, isGroup(name), name)
	}
	g := &group{parents: []parent{{dir: t.TempDir()}}}
	first := g.freeName()
	next := fmt.Sprintf("box-%d-%d", os.Getpid(), groupsMade.Load()+1)
	require.NoError(t, os.Mkdir(filepath.Join(g.parents[0].dir, next), 0o755))
	second := g.freeName()
	require.NotEqual(t, first, second)
	require.NotEqual(t, next, second, "another box has it, of the same number elsewhere")
	require.True(t, isGroup(second))
}

// A group that cannot be stopped as a whole is not left with some of its processes stopped.
func TestAPauseThatFailsStopsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // stands for a group in which a process waits for a disk
	freeze := filepath.Join(dir, "cgroup.freeze")
	require.NoError(t, os.WriteFile(freeze, []byte("0"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.events"), []byte("populated 1\nfrozen 0\n"), 0o644))
	require.ErrorContains(t, setFrozenIn(dir, true), "cannot be interrupted")
	text, err := os.ReadFile(freeze)
	require.NoError(t, err)
	require.Equal(t, "0", string(text))
}

// A group that cannot be removed is tried for a second, however deep it is in others: a second for
// each of a thousand tries at the one above it would be a quarter of an hour.
func TestAGroupThatStaysIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // stands for a group: its files are in the way of rmdir(2)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/cgroup.procs"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/cgroup.procs"), nil, 0o644))
	require.ErrorIs(t, removeGroup(dir), unix.ENOTEMPTY)
}
