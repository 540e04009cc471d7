package flags

import (
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

type command struct {
	User  string   `short:"u"`
	Env   []string `short:"e" sep:"none"`
	Time  int      `short:"t"`
	Last  *int64
	Input bool     `short:"i"`
	Quiet bool     `short:"q"`
	Name  string   `short:"h"`
	Words []string `arg:"" optional:"" passthrough:"partial"`
}

func TestAsDocker(t *testing.T) {
	for _, c := range []struct {
		args []string
		want command
	}{
		{[]string{"-u=0", "sh", "-u=1"}, command{User: "0", Words: []string{"sh", "-u=1"}}},
		{[]string{"-u", "=0"}, command{User: "=0"}},
		{[]string{"-u0"}, command{User: "0"}},
		{[]string{"-u="}, command{}},
		{[]string{"--user==0"}, command{User: "=0"}},
		{[]string{"-e=A=b", "-eC==d", "-e", "E=f"}, command{Env: []string{"A=b", "C==d", "E=f"}}},
		{[]string{"-t=-5"}, command{Time: -5}},
		{[]string{"-i=false", "-q=true"}, command{Quiet: true}},
		{[]string{"-iqu=x"}, command{Input: true, Quiet: true, User: "x"}},
		{[]string{"-iq"}, command{Input: true, Quiet: true}},
		{[]string{"-h", "name"}, command{Name: "name"}},
	} {
		var got command
		k, err := kong.New(&got, kong.PostBuild(asDocker), kong.WithHyphenPrefixedParameters(true))
		require.NoError(t, err)
		_, err = k.Parse(c.args)
		require.NoError(t, err, c.args)
		require.Equal(t, c.want, got, c.args)
	}
}

func TestErrorsAreSentences(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-i=perhaps"}, `--input: "perhaps" is not true or false`},
		{[]string{"--time", "soon"}, `--time: "soon" is not a whole number`},
		{[]string{"-tsoon"}, `--time: "soon" is not a whole number`},
		{[]string{"--last=1.5"}, `--last: "1.5" is not a whole number`},
		{[]string{"--time"}, "--time: a value is missing"},
		{[]string{"-u"}, "--user: a value is missing"},
	} {
		var got command
		k, err := kong.New(&got, kong.PostBuild(asDocker), kong.WithHyphenPrefixedParameters(true))
		require.NoError(t, err)
		_, err = k.Parse(c.args)
		require.EqualError(t, err, c.want)
	}
}

func TestFirst(t *testing.T) {
	values := map[string]bool{"--a": true, "--b": true, "--c": false}
	require.Equal(t, "--b", First([]string{"--c", "--b", "--a"}, values))
	require.Equal(t, "--a", First(nil, values))
	require.Equal(t, "", First([]string{"--c"}, map[string]bool{"--c": false}))
}
