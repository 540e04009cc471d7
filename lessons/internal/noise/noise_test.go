// Package noise has a script that does on a host what others do there (noise.sh), and the
// test that the behaviour suite holds beside it.
package noise

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// noise is noise.sh at work: its process, and the directory that its mounts are below. What
// another run of it makes on this host has other names.
type noise struct {
	pid int
	dir string
}

// start starts the noise, and returns when it is under way. It ends with the test.
func start(t *testing.T, box string) noise {
	cmd := exec.Command("sh", "noise.sh", box)
	n := noise{dir: t.TempDir()}
	cmd.Env = append(os.Environ(), "TMPDIR="+n.dir)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGTERM}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n.pid = cmd.Process.Pid
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(unix.SIGTERM), "the noise has ended before the test")
		cmd.Wait() // by the signal
		require.Empty(t, n.seen(t), "left by the noise")
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return n
}

// seen lists what the noise has on this host now.
func (n noise) seen(t *testing.T) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	links, err := os.ReadFile("/proc/net/dev")
	require.NoError(t, err)
	groups, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/box-noise-%d", n.pid))
	require.NoError(t, err)
	var seen []string
	for what, there := range map[string]bool{
		"mount": strings.Contains(string(mounts), n.dir),
		"link":  strings.Contains(string(links), fmt.Sprintf("bxn%d:", n.pid)),
		"group": len(groups) > 0,
	} {
		if there {
			seen = append(seen, what)
		}
	}
	return strings.Join(seen, " ")
}

// TestSuiteBesideNoise holds each eighth row against the last stage's box, while others
// make and remove containers, mounts, bridges and cgroups on the same host.
func TestSuiteBesideNoise(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the noise: mounts, bridges and cgroups of the host")
	}
	boxtest.Slow(t, "runs rows of the suite beside other work")
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	last := all[len(all)-1]
	box := filepath.Join(t.TempDir(), "box")
	require.NoError(t, last.Build(t.Context(), box))
	n := start(t, box)
	require.Eventually(t, func() bool { return n.seen(t) != "" }, time.Minute, 5*time.Millisecond, "the control: the noise is seen")
	suite := behave.Suite{Binary: box, Stage: last.Number, Every: 8, Ready: true}
	require.NoError(t, suite.Run(t.Context(), func(r behave.Result) {
		if r.Skipped == "" && !r.Holds {
			t.Errorf("%s, as %s: ran %q, expected %s, saw %s", r.Row.Name, r.As, r.Ran, r.Expected, r.Saw)
		}
	}))
}
