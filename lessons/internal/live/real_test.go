package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

var real = Roots{"/proc", "/sys"}

const (
	nobody   = 65534
	patience = 5 * time.Minute
	interval = 20 * time.Millisecond
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// built is a stage's binary in a directory that every user may use.
func built(t *testing.T, stage int) string {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "stagebox-live")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "box")
	require.NoError(t, all[stage-1].Build(t.Context(), binary))
	return binary
}

// mark is the number of seconds of a sleep that nobody else has.
func mark(n int) string { return fmt.Sprint(800_000_000 + os.Getpid()*10 + n) }

// start runs a command whose box ends when the test does, or when the function is called.
func start(t *testing.T, cmd *exec.Cmd) (stop func()) {
	var said strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &said, &said
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	require.NoError(t, cmd.Start())
	done := false
	stop = func() {
		if !done {
			done = true
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait() // it was told to end
		}
		if t.Failed() {
			t.Log(said.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

// appears waits for a box with a process of this command, and returns it. Its picture is taken
// once more: while the first one was, the process may have been about to become the command.
func appears(t *testing.T, command string) (found Box, in Snapshot) {
	t.Helper()
	see := func() bool {
		in = Take(real)
		for _, b := range in.Boxes {
			for _, p := range b.Processes {
				if p.Command == command {
					found = b
					return true
				}
			}
		}
		return false
	}
	require.Eventually(t, see, patience, interval, command)
	require.True(t, see(), command)
	return found, in
}

func vanishes(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, b := range Take(real).Boxes {
			if b.ID == id {
				return false
			}
		}
		return true
	}, patience, interval)
}

// asKernel holds a box against the links of its first process and of ours.
func asKernel(t *testing.T, b Box) {
	for _, kind := range kinds {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", b.PID, kind))
		if err != nil && kind == "time" {
			continue // a kernel before 5.6
		}
		require.NoError(t, err)
		n := b.namespace(kind)
		require.Equal(t, link, fmt.Sprintf("%s:[%d]", kind, n.Inode))
		ours, err := os.Readlink("/proc/self/ns/" + kind)
		require.NoError(t, err)
		if os.Geteuid() != 0 { // then ours stand for the host's
			require.Equal(t, link == ours, n.Host, kind)
		}
	}
}

func TestARealContainerOfTheFirstStage(t *testing.T) {
	box1 := built(t, 1)
	stop := start(t, exec.Command(box1, "run", "sleep", mark(1)))
	b, s := appears(t, "sleep "+mark(1))
	asKernel(t, b)
	require.Equal(t, "host", b.Root.Kind)
	require.False(t, b.namespace("pid").Host)
	require.Equal(t, os.Geteuid() == 0, b.namespace("user").Host)
	if os.Geteuid() != 0 {
		require.Contains(t, b.namespace("user").Note, fmt.Sprintf("user 0 inside is %d", os.Geteuid()))
		require.Contains(t, s.Unseen[0], fmt.Sprintf("served by user %d", os.Geteuid()))
	}
	n := (&machine{t: t}).networkOf(s, b.namespace("net").Inode)
	require.Equal(t, "lo", n.Interfaces[0].Name)
	require.Equal(t, []string{"127.0.0.1/8", "::1/128"}[0], n.Interfaces[0].Addresses[0])
	require.NotZero(t, *s.figures[b.ID].Memory)
	stop()
	vanishes(t, b.ID)
}

func TestRootSeesAnOrdinaryUsersContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	cmd := exec.Command(built(t, 1), "run", "sleep", mark(2))
	cmd.Env = append(os.Environ(), "HOME=/", "BOX_ROOT=/nonexistent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	stop := start(t, cmd)
	b, _ := appears(t, "sleep "+mark(2))
	asKernel(t, b)
	require.False(t, b.namespace("user").Host)
	require.Contains(t, b.namespace("user").Note, "user 0 inside is 65534")
	stop()
	vanishes(t, b.ID)
}

// apart makes a network that is apart from the host's, with a sysfs that shows it, and the
// control groups back in their place.
const apart = `set -e
ip link set lo up
mkdir "$2/groups"
mount --rbind /sys/fs/cgroup "$2/groups"
mount -t sysfs sysfs /sys
mount --rbind "$2/groups" /sys/fs/cgroup
trap '"$1" rm -f live; exit' TERM
"$1" run -d --name live -m 64m --pids-limit 50 tiny sleep "$3" >"$2/id"
while :; do sleep 0.1; done`

func TestLayersLimitsAndCablesOfTheLastStage(t *testing.T) {
	boxtest.Slow(t, "builds the last stage")
	if os.Geteuid() != 0 {
		t.Skip("needs root, for limits and a bridge")
	}
	binary := built(t, 8)
	dir, err := os.MkdirTemp("", "stagebox-live") // not t.TempDir: mounts are in it while the shell lives
	require.NoError(t, err)
	cmd := exec.Command("unshare", "-n", "-m", "sh", "-c", apart, "sh", binary, dir, mark(3))
	cmd.Env = append(os.Environ(), "BOX_ROOT="+filepath.Join(dir, "store"))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	stop := start(t, cmd)
	b, s := appears(t, "sleep "+mark(3))
	require.Equal(t, "overlay", b.Root.Kind)
	require.True(t, b.Root.Layers[0].Writable)
	require.True(t, strings.HasPrefix(b.Root.Layers[0].Path, dir), b.Root.Layers[0].Path)
	require.True(t, b.Group.Own)
	require.Equal(t, &Limit{64 << 20, ""}, b.Group.Memory)
	require.Equal(t, &Limit{50, ""}, b.Group.PIDs)
	require.Equal(t, int64(1), *s.figures[b.ID].PIDs)
	cable := Cable{}
	require.Eventually(t, func() bool {
		for _, c := range Take(real).Cables {
			if c.A.Network == b.namespace("net").Inode || c.B.Network == b.namespace("net").Inode {
				cable = c
			}
		}
		return cable != Cable{} && !cable.Open // it is while something goes over it
	}, patience, interval)
	stop()
	vanishes(t, b.ID)
}
