package nsmode

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestRead(t *testing.T) {
	find := func(name string) (string, error) {
		if name != "web" {
			return "", errors.New("no such container")
		}
		return "0123", nil
	}
	words := []string{"host", "private"}
	for _, c := range []struct{ kind, mode, want, err string }{
		{"pid", "", "", ""}, {"pid", "private", "private", ""}, {"pid", "host", "host", ""}, {"pid", "container:web", "container:0123", ""},
		{"pid", "own", "", "--pid own: no such mode; there are: host, private, container:NAME"},
		{"pid", "container:", "", "--pid container:: no such mode; there are: host, private, container:NAME"},
		{"uts", "container:web", "", "--uts container:web: no such mode; there are: host, private"},
		{"pid", "container:db", "", "--pid container:db: no such container"},
		{"ipc", "host", "", "--ipc host and --unshare ipc exclude one another"},
		{"net", "private", "", "--net private and --share net exclude one another"},
	} {
		r, mode := Reader{Share: []string{"net"}, Unshare: []string{"ipc"}, Find: find}, c.mode
		err := r.Read(c.kind, &mode, words...)
		if c.err != "" {
			require.EqualError(t, err, c.err)
			continue
		}
		require.NoError(t, err, c.mode)
		require.Equal(t, c.want, mode)
		require.Equal(t, c.mode == "host", len(r.Share) == 2, c.mode)
	}
}
