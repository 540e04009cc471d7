package ids_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/ids"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestIDs(t *testing.T) {
	one, two := ids.New(), ids.New()
	require.True(t, ids.IsID(one), one)
	require.NotEqual(t, one, two)
	for _, other := range []string{"", one[1:], one + "0", strings.ToUpper(one[:63]) + "A", "g" + one[1:]} {
		require.False(t, ids.IsID(other), other)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "Z", "0", "web-1.old_2", ids.TwoWords()} {
		require.True(t, ids.IsName(name), name)
	}
	for _, other := range []string{"", "-a", ".a", "_a", "a/b", "a b", "ä"} {
		require.False(t, ids.IsName(other), other)
	}
	require.True(t, ids.IsNumber("012"))
	require.False(t, ids.IsNumber(""))
	require.False(t, ids.IsNumber("1a"))
}
