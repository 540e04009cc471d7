package seccomp

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
)

func TestFilter(t *testing.T) {
	want := compileDefault(t, capability.Default.Names()...)
	filter, err := Filter("", capability.Default)
	require.NoError(t, err)
	require.Equal(t, []unix.SockFilter(want), filter)
	admin, err := Filter("", capability.Default|1<<unix.CAP_SYS_ADMIN)
	require.NoError(t, err)
	require.NotEqual(t, filter, admin, "the control")
	none, err := Filter("unconfined", capability.Default)
	require.NoError(t, err)
	require.Empty(t, none)
	file := filepath.Join(t.TempDir(), "profile")
	_, err = Filter(file, 0)
	require.ErrorContains(t, err, "--security-opt seccomp="+file+": open ")
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
	_, err = Filter(file, 0)
	require.EqualError(t, err, "--security-opt seccomp="+file+" is not a profile: defaultAction is missing")
}
