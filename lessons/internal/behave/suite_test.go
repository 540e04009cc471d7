package behave

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// built is a stage's binary where every user may run it.
func built(t *testing.T, s stages.Stage) string {
	dir, err := os.MkdirTemp("", "stagebox-behave")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "box")
	require.NoError(t, s.Build(t.Context(), binary))
	return binary
}

func everyStage(t *testing.T) []stages.Stage {
	root, err := stages.Root()
	require.NoError(t, err)
	list, err := stages.All(root)
	require.NoError(t, err)
	return list
}

// TestStages holds the rows up to a stage against that stage's binary, the new ones with
// their controls; against the last stage's all of them.
func TestStages(t *testing.T) {
	all := everyStage(t)
	for i, s := range all {
		t.Run(s.Name(), func(t *testing.T) {
			last := i == len(all)-1
			suite := Suite{Binary: built(t, s), Stage: s.Number, Slow: !testing.Short(), Controls: true, New: true, Thin: !last}
			require.NoError(t, suite.Run(t.Context(), func(r Result) {
				if r.Skipped == "" && !r.OK() {
					t.Errorf("%s, as %s: ran %q, expected %s, saw %s, control %+v", r.Row.Name, r.As, r.Ran, r.Expected, r.Saw, r.Control)
				}
			}))
		})
	}
}

// failing are the names of the rows that do not hold for a binary, whoever runs it.
func failing(t *testing.T, binary string) []string {
	var names []string
	suite := Suite{Binary: binary, Stage: 1}
	require.NoError(t, suite.Run(context.Background(), func(r Result) {
		if r.Skipped == "" && !r.Holds && !slices.Contains(names, r.Row.Name) {
			names = append(names, r.Row.Name)
		}
	}))
	slices.Sort(names)
	return names
}

// TestLeavesOut runs the suite on binaries that leave out one namespace each: exactly the
// rows that speak of it may fail.
func TestLeavesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the suite once for each namespace: left out with -short")
	}
	binary := built(t, everyStage(t)[0])
	for kind, want := range leftOut {
		t.Run(kind, func(t *testing.T) {
			wrapper := filepath.Join(filepath.Dir(binary), "without-"+kind)
			script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = run ] && { shift; set -- run --share %s \"$@\"; }\nexec %s \"$@\"\n", kind, binary)
			require.NoError(t, os.WriteFile(wrapper, []byte(script), 0o755))
			if os.Geteuid() == 0 { // root's runs share a network that has nothing but loopback either
				want = slices.DeleteFunc(slices.Clone(want), func(name string) bool { return name == "the network inside is loopback, which is up, and nothing else" })
			}
			if os.Geteuid() != 0 {
				want = slices.DeleteFunc(slices.Clone(want), forRoot)
			}
			slices.Sort(want)
			require.Equal(t, want, failing(t, wrapper))
		})
	}
}

// forRoot tells whether only root runs a row.
func forRoot(name string) bool {
	i := slices.IndexFunc(table, func(r Row) bool { return r.Name == name })
	return i >= 0 && table[i].For == Root
}

// leftOut are the rows that fail without a namespace.
var leftOut = map[string][]string{
	"mnt": {"the mount namespace is its own", "a mount made inside is not seen outside",
		"a mount made inside is not seen outside, though the host's mounts are shared",
		"/proc shows the container's processes and no others", "exec's command is beside the container's process 1"},
	"pid": {"the PID namespace is its own", "the command is process 1 inside, and has another number outside",
		"the command cannot be killed from inside, as nobody can kill process 1",
		"/proc shows the container's processes and no others", "exec's command is beside the container's process 1",
		"lsns shows a running container by its process and its PID namespace", "when the binary is killed, no process is left inside"},
	"uts": {"the UTS namespace is its own", "the hostname inside is its own", "the hostname inside is what --hostname says",
		"a hostname changed inside is not changed outside"},
	"ipc": {"the IPC namespace is its own", "shared memory of the host is not seen inside"},
	"net": {"the network namespace is its own", "sockets of the host are not seen inside",
		"the network inside is loopback, which is up, and nothing else"},
	"cgroup": {"the cgroup namespace is its own"},
	"time":   {"the time namespace is its own"},
}
