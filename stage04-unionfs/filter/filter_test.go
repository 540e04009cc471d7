package filter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/filter"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestFilters(t *testing.T) {
	labels := map[string]string{"a": "1", "b": ""}
	for _, c := range []struct {
		flags []string
		match bool
	}{
		{nil, true},
		{[]string{"name=web"}, true},
		{[]string{"name=^w.b1$"}, true},
		{[]string{"name=eb$"}, false},
		{[]string{"name=db", "NAME=web"}, true},
		{[]string{"name=["}, false},
		{[]string{"label=a"}, true},
		{[]string{"label=a=1", "label=b"}, true},
		{[]string{"label=a=1", "label=c"}, false},
		{[]string{"label=a=2"}, false},
		{[]string{"label=b=", "name=db"}, false},
	} {
		f, err := filter.Parse(c.flags, "name", "label")
		require.NoError(t, err)
		require.Equal(t, c.match, f.Any("name", filter.Text("web1")) && f.Labels(labels), c.flags)
	}
	for flag, says := range map[string]string{
		"web":    "--filter web: give NAME=VALUE",
		"name=":  "--filter name=: give NAME=VALUE",
		"nope=1": `--filter nope=1: invalid filter "nope"; available: name, label`,
	} {
		_, err := filter.Parse([]string{flag}, "name", "label")
		require.EqualError(t, err, says)
	}
	f, err := filter.Parse([]string{"status=gone"}, "status")
	require.NoError(t, err)
	require.EqualError(t, f.OneOf("status", "up", "down"), "--filter status=gone: invalid value; available: up, down")
}
