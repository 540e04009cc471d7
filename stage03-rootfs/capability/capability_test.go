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

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		add, drop []string
		open      bool
		want      Set
	}{
		{nil, nil, false, 0xa80425fb},
		{nil, []string{"chown"}, true, All &^ 1},
		{[]string{"net_admin"}, []string{"CAP_CHOWN"}, false, 0xa80435fa},
		{[]string{"ALL"}, nil, false, All},
		{[]string{"all"}, []string{"SYS_ADMIN"}, false, All &^ (1 << unix.CAP_SYS_ADMIN)},
		{[]string{"CHOWN"}, []string{"ALL"}, false, 1},
		{[]string{"ALL"}, []string{"ALL"}, false, All},
	} {
		got, err := Select(c.add, c.drop, c.open)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%v", c)
	}
	_, err := Select([]string{"NONSENSE"}, nil, false)
	require.ErrorContains(t, err, "--cap-add NONSENSE: there is no such capability")
	_, err = Select(nil, []string{"NONSENSE"}, false)
	require.ErrorContains(t, err, "--cap-drop NONSENSE: ")
}

// The kernel takes the lower half of each set first.
func TestData(t *testing.T) {
	data, text := Data(1<<unix.CAP_CHOWN|1<<unix.CAP_BPF, 1<<unix.CAP_CHOWN, 0)
	require.Equal(t, [2]unix.CapUserData{{Effective: 1, Permitted: 1}, {Effective: 1 << (unix.CAP_BPF - 32)}}, *data)
	require.Contains(t, text, "permitted=1<<CAP_CHOWN, inheritable=0}")
}
