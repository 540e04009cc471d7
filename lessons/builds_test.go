package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// TestLaterStagesBuildTheSame has the stages that have a cache build the cases that are
// compared with BuildKit's, each twice: the second time from the cache.
func TestLaterStagesBuildTheSame(t *testing.T) {
	all, err := stages.All("..")
	require.NoError(t, err)
	for _, s := range all[6:] {
		t.Run(s.Topic, func(t *testing.T) {
			box := filepath.Join(t.TempDir(), "box")
			require.NoError(t, s.Build(t.Context(), box))
			cmd := exec.Command("go", "test", "-count=1", "-run", "^TestBuildsAreBuildKits$", ".", "-args", "-box", box)
			if os.Geteuid() == 0 { // whose steps have a bridge
				cmd = exec.Command("unshare", append([]string{"-n", "sh", "-c", `ip link set lo up && exec "$@"`, "sh"}, cmd.Args...)...)
			}
			cmd.Dir = all[5].Dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}
