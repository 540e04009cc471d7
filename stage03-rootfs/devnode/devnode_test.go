package devnode

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestParse(t *testing.T) {
	for text, want := range map[string]Node{
		"/dev/null":             {"/dev/null", "/dev/null", unix.S_IFCHR, 1, 3, 0o666, "rwm"},
		"/dev/null:r":           {"/dev/null", "/dev/null", unix.S_IFCHR, 1, 3, 0o666, "r"},
		"/dev/null:/dev/x":      {"/dev/null", "/dev/x", unix.S_IFCHR, 1, 3, 0o666, "rwm"},
		"/dev/null:/dev/y/x:rw": {"/dev/null", "/dev/y/x", unix.S_IFCHR, 1, 3, 0o666, "rw"},
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "/etc/passwd", "/dev/none", "/dev/null:/x", "/dev/null:/dev/x:rwx", "/dev/null:/dev/../etc/x", ":::"} {
		_, err := Parse(text)
		require.Error(t, err, text)
	}
}

func TestHost(t *testing.T) {
	for _, n := range Default[:5] {
		require.Contains(t, hostNodes(), n)
	}
	for _, n := range hostNodes() {
		require.NotContains(t, []string{"/dev/ptmx", "/dev/console"}, n.Target)
	}
}
