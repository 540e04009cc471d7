package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a container may not do, a command that exec brings in may not do either.
func TestExecHasTheContainersWalls(t *testing.T) {
	l := newLife(t)
	profile := filepath.Join(t.TempDir(), "profile.json")
	require.NoError(t, os.WriteFile(profile, []byte(`{"defaultAction": "SCMP_ACT_ALLOW",
		"syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}`), 0o644))
	l.box("run", "-d", "--name", "walled", "--rootfs", l.tiny, "--security-opt", "seccomp="+profile, "--ulimit", "nofile=100", "sleep", l.mark)
	require.Equal(t, "100\nrefused", l.box("exec", "walled", "sh", "-c", "ulimit -n; mkdir /new 2>/dev/null || echo refused"))
	l.box("run", "-d", "--name", "open", "--rootfs", l.tiny, "--security-opt", "seccomp=unconfined", "sleep", l.mark)
	require.Equal(t, "made", l.box("exec", "open", "sh", "-c", "mkdir /new && echo made"))
}
