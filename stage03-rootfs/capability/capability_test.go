package capability

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	require.Equal(t, unix.CAP_LAST_CAP+1, Count)
	require.Equal(t, "CAP_CHECKPOINT_RESTORE", Name(unix.CAP_CHECKPOINT_RESTORE))
	for text, want := range map[string]Set{
		"NET_ADMIN": 1 << unix.CAP_NET_ADMIN, "cap_net_admin": 1 << unix.CAP_NET_ADMIN, "all": All,
	} {
		got, err := Parse([]string{text})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := Parse([]string{"CHOWN", "NONSENSE"})
	require.EqualError(t, err, "NONSENSE: there is no such capability; capabilities(7) lists them")
}

func TestString(t *testing.T) {
	require.Equal(t, "0", Set(0).String())
	require.Equal(t, "1<<CAP_CHOWN|1<<CAP_KILL", Set(1<<unix.CAP_CHOWN|1<<unix.CAP_KILL).String())
	require.Equal(t, []string{"CAP_CHOWN"}, Set(1).Names())
}
