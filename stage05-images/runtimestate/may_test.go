package runtimestate

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

func TestWhatMayBeDone(t *testing.T) {
	const notStopped = "cannot delete container one that is not stopped: "
	for status, want := range map[specs.ContainerState][6]string{
		specs.StateCreated: {"", "", "", "container not paused", notStopped + "created", ""},
		specs.StateRunning: {"cannot start an already running container", "", "", "container not paused", notStopped + "running", ""},
		Paused:             {"cannot start an already running container", "cannot exec in a paused container: resume it first", "container not running: it is paused", "", notStopped + "paused", ""},
		specs.StateStopped: {"cannot start a container that has stopped", "cannot exec in a stopped container", "container not running: it is stopped", "container not paused", "", ""},
	} {
		s := &State{State: specs.State{ID: "one", Status: status}}
		for i, err := range []error{s.MayStart(), s.MayExec(), s.MayFreeze(true, true), s.MayFreeze(false, true), s.MayDelete(false), s.MayDelete(true)} {
			if want[i] == "" {
				require.NoError(t, err, status)
			} else {
				require.EqualError(t, err, want[i], status)
			}
		}
	}
}

func TestAFreezerIsNeeded(t *testing.T) {
	running, paused := &State{State: specs.State{Status: specs.StateRunning}}, &State{State: specs.State{Status: Paused}}
	require.ErrorContains(t, running.MayFreeze(true, false), "pause needs a cgroup tree of version 2")
	require.ErrorContains(t, paused.MayFreeze(false, false), "pause needs a cgroup tree of version 2")
}

// TestSignal: the process gets it, and one that has ended, whose number may be another's, does not.
func TestSignal(t *testing.T) {
	process := exec.Command("sleep", "1000")
	require.NoError(t, process.Start())
	s := &State{State: specs.State{Status: specs.StateStopped, Pid: process.Process.Pid}}
	require.EqualError(t, s.Signal(unix.SIGKILL), "container not running")
	s.Status, s.Began = specs.StateRunning, "1" // another process had this number
	require.EqualError(t, s.Signal(unix.SIGKILL), "container not running")
	require.NoError(t, s.Kill())
	s.Began = began(s.Pid)
	require.NoError(t, s.Signal(unix.SIGUSR1))
	var ended *exec.ExitError
	require.ErrorAs(t, process.Wait(), &ended)
	require.Equal(t, syscall.SIGUSR1, ended.Sys().(syscall.WaitStatus).Signal())
}

// TestKill: the process has ended when it returns, and one that may not be killed is an error.
func TestKill(t *testing.T) {
	process := exec.Command("sleep", "1000")
	require.NoError(t, process.Start())
	s := &State{State: specs.State{Pid: process.Process.Pid}, Began: began(process.Process.Pid)}
	require.NoError(t, s.Kill())
	require.Empty(t, began(s.Pid), "a zombie at most")
	require.NoError(t, s.Kill())
	process.Wait()
	if os.Geteuid() != 0 {
		others := &State{State: specs.State{Pid: 1}, Began: began(1)}
		require.ErrorIs(t, others.Kill(), unix.EPERM)
	}
}

// TestRunPlan: an exit status is an error unless it is 0, and a process whose time is up is killed.
func TestRunPlan(t *testing.T) {
	run := func(seconds *int, shell string) error {
		p, _ := plan.New()
		p.Handshake()
		p.Become(p.Str("/bin/sh"), []string{"sh", "-c", shell}, []string{"PATH=/bin:/usr/bin"})
		return RunPlan(p, seconds)
	}
	one, many := 1, 1000
	require.NoError(t, run(nil, "exit 0"))
	require.NoError(t, run(&many, "exit 0"))
	require.Equal(t, plan.ExitStatus(3), run(nil, "exit 3"))
	require.Equal(t, plan.ExitStatus(128+unix.SIGKILL), run(&one, "exec sleep 1000"))
}

// TestNotePause: only a file of the container's own cgroups says that it is paused.
func TestNotePause(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	status := func(s State) specs.ContainerState {
		s.NotePause("freeze")
		return s.Status
	}
	running := State{State: specs.State{Status: specs.StateRunning}}
	t.Chdir(dir)
	write("freeze", "1\n")
	require.Equal(t, specs.StateRunning, status(running), "the working directory is no cgroup of its")
	running.Groups = []string{"/none", dir}
	require.Equal(t, Paused, status(running))
	require.Equal(t, specs.StateStopped, status(State{State: specs.State{Status: specs.StateStopped}, Groups: running.Groups}))
	write("freeze", "0\n")
	require.Equal(t, specs.StateRunning, status(running))
	write("procs", "30\n7\n")
	require.Equal(t, []int{7, 30}, running.Processes("procs"))
	require.Equal(t, []int{}, running.Processes("none"))
}
