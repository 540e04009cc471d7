package play

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/agent"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/vm"
)

// made is a playground of this tree. Its machine is not booted yet.
func made(t *testing.T) *Playground { return madeWith(t, "v2") }

// madeWith does the same, for a version of cgroups.
func madeWith(t *testing.T, cgroups string) *Playground {
	if err := vm.Ready(machineMemory); err != nil {
		t.Skip(err)
	}
	programs, err := MakePrograms(t.Context(), t.TempDir())
	require.NoError(t, err)
	root, _, err := MakeRoot(programs)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	ground := New(t.Context(), root, 1, vm.Options{Memory: machineMemory, Cgroups: cgroups, Accel: "tcg"})
	t.Cleanup(func() { ground.Close() })
	return ground
}

const machineMemory = 1024 // MiB

// TestSessionsInTheMachine types every lesson's sessions in one machine, and those of README.
func TestSessionsInTheMachine(t *testing.T) {
	root, ground := typist(t, "v2")
	all, err := stages.All(root)
	require.NoError(t, err)
	for _, s := range all {
		t.Run(s.Name(), func(t *testing.T) { sessions(t, ground, filepath.Join(root, s.Lesson()), s.Number) })
	}
	t.Run("README", func(t *testing.T) { sessions(t, ground, filepath.Join(root, "README.md"), len(all)) })
}

// TestGroupsInTheMachine types the lesson about cgroups where they are of the other version.
func TestGroupsInTheMachine(t *testing.T) {
	for _, cgroups := range []string{"v1", "hybrid"} {
		t.Run(cgroups, func(t *testing.T) {
			root, ground := typist(t, cgroups)
			s, err := stages.Get(root, 2)
			require.NoError(t, err)
			sessions(t, ground, filepath.Join(root, s.Lesson()), 2)
		})
	}
}

// With Net, and only then, the machine has a way out, and it leads to the host's own ports.
func TestNetInTheMachine(t *testing.T) {
	if !boxtest.Long() {
		t.Skip("takes two virtual machines: set STAGEBOX_LONG=1")
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, "the host") }))
	t.Cleanup(server.Close)
	ask := strings.Replace(server.URL, "127.0.0.1", "10.0.2.2", 1)
	ground := made(t)
	for _, net := range []bool{true, false} {
		ground.Options.Net = net
		require.NoError(t, ground.Reset(false))
		m, err := ground.Machine(t.Context())
		require.NoError(t, err)
		out, err := m.Output("curl", "-sS", "--max-time", "60", ask)
		if net {
			require.NoError(t, err)
			require.Equal(t, "the host", out)
		} else {
			require.ErrorContains(t, err, "Couldn't connect")
		}
	}
}

// typist is a playground whose machine has a program that types sessions.
func typist(t *testing.T, cgroups string) (root string, ground *Playground) {
	if !boxtest.Long() {
		t.Skip("takes a virtual machine for some minutes: set STAGEBOX_LONG=1")
	}
	ground = madeWith(t, cgroups)
	require.NoError(t, ground.Boot())
	m, err := ground.Machine(t.Context())
	require.NoError(t, err)
	root, err = stages.Root()
	require.NoError(t, err)
	runner := filepath.Join(t.TempDir(), "sessions")
	require.NoError(t, stages.Compile(t.Context(), root, "./lessons/internal/play/sessions", runner))
	require.NoError(t, put(m, runner, inside+"/sessions"))
	return root, ground
}

// sessions types the sessions of one page.
func sessions(t *testing.T, ground *Playground, page string, stage int) {
	require.NoError(t, ground.Choose(stage))
	m, err := ground.Machine(t.Context())
	require.NoError(t, err)
	text, err := os.Open(page)
	require.NoError(t, err)
	defer text.Close()
	const inMachine = "/run/page.md"
	require.NoError(t, m.Put(inMachine, 0o644, text))
	process, err := m.Start(agent.Request{Argv: []string{inside + "/sessions", inMachine, filepath.Dir(stageBox(stage))}, Dir: "/tmp",
		Env: []string{"PATH=" + inside + "/programs:/usr/sbin:/usr/bin:/sbin:/bin"}})
	require.NoError(t, err)
	out := new(strings.Builder)
	_, err = io.Copy(out, process)
	require.NoError(t, err)
	status, err := process.Wait()
	require.NoError(t, err)
	require.Zero(t, status, out.String())
	t.Log(strings.TrimSpace(out.String()))
}
