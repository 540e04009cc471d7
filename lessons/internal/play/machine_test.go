package play

import (
	"io"
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
func made(t *testing.T) *Playground {
	if err := vm.Ready(machineMemory); err != nil {
		t.Skip(err)
	}
	programs, err := MakePrograms(t.Context(), t.TempDir())
	require.NoError(t, err)
	root, _, err := MakeRoot(programs)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	ground := New(t.Context(), root, 1, vm.Options{Memory: machineMemory, Cgroups: "v2", Accel: "tcg"})
	t.Cleanup(func() { ground.Close() })
	return ground
}

const machineMemory = 1024 // MiB

// TestSessionsInTheMachine types every lesson's sessions in one machine, and those of README.
func TestSessionsInTheMachine(t *testing.T) {
	if !boxtest.Long() {
		t.Skip("takes a virtual machine for some minutes: set STAGEBOX_LONG=1")
	}
	ground := made(t)
	require.NoError(t, ground.Boot())
	m, err := ground.Machine(t.Context())
	require.NoError(t, err)
	root, err := stages.Root()
	require.NoError(t, err)
	runner := filepath.Join(t.TempDir(), "sessions")
	require.NoError(t, stages.Compile(t.Context(), root, "./lessons/internal/play/sessions", runner))
	require.NoError(t, put(m, runner, inside+"/sessions"))
	all, err := stages.All(root)
	require.NoError(t, err)
	for _, s := range all {
		t.Run(s.Name(), func(t *testing.T) { sessions(t, m, filepath.Join(root, s.Lesson()), s.Number) })
	}
	t.Run("README", func(t *testing.T) { sessions(t, m, filepath.Join(root, "README.md"), len(all)) })
}

// sessions types the sessions of one page.
func sessions(t *testing.T, m *vm.Machine, page string, stage int) {
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
