package rlimit

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Without the right to it, a hard limit is not raised, and the soft one not above it.
func TestAllowed(t *testing.T) {
	var now unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &now))
	same := Limit{"nofile", unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 1, Max: now.Max}}
	allowed, isLower, err := same.Allowed()
	require.NoError(t, err)
	require.False(t, isLower)
	require.Equal(t, same, allowed)

	more := Limit{"nofile", unix.RLIMIT_NOFILE, unix.Rlimit{Cur: now.Max + 1, Max: now.Max + 2}}
	allowed, isLower, err = more.Allowed()
	require.NoError(t, err)
	require.Equal(t, !mayRaise(), isLower)
	if isLower {
		require.Equal(t, unix.Rlimit{Cur: now.Max, Max: now.Max}, allowed.Rlimit)
	}

	_, _, err = Limit{"none", 1000, now}.Allowed()
	require.ErrorIs(t, err, unix.EINVAL)
}

func TestPermitted(t *testing.T) {
	limit, err := Permitted("nofile=10:20")
	require.NoError(t, err)
	require.Equal(t, "{rlim_cur=10, rlim_max=20}", limit.String())
	_, err = Permitted("nofile=20:10")
	require.EqualError(t, err, "--ulimit nofile=20:10: the soft limit, 20, is above the hard one, 10")
}
