package completion

import (
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// cli is a command line with one of everything.
type cli struct {
	Run struct {
		Network string   `short:"n"`
		Mode    string   `enum:"fast,slow," default:""`
		Detach  bool     `short:"d"`
		Secret  bool     `hidden:""`
		Image   string   `arg:""`
		Words   []string `arg:"" optional:"" passthrough:""`
	} `cmd:""`
	Rm struct {
		Containers []string `arg:"" name:"container"`
	} `cmd:""`
	Show struct {
		Name string `arg:""`
	} `cmd:""`
}

func TestWords(t *testing.T) {
	values := func(command *kong.Node, name string) []string {
		return []string{command.Name + "." + name, "x2", "x1", "x1"}
	}
	model := kong.Must(&cli{}).Model.Node
	for _, c := range []struct {
		before []string
		word   string
		want   []string
	}{
		{nil, "r", []string{"rm", "run"}},
		{nil, "--h", []string{"--help"}},
		{[]string{"run"}, "--", []string{"--detach", "--help", "--mode", "--network"}},
		{[]string{"run", "--network"}, "r", []string{"run.--network"}},
		{[]string{"run", "-n"}, "x", []string{"x1", "x2"}},
		{[]string{"run", "-n", "rm"}, "r", []string{"run.image"}},
		{[]string{"run", "--mode"}, "", []string{"fast", "slow"}},
		{[]string{"run", "-d", "--mode=fast"}, "r", []string{"run.image"}},
		{[]string{"run", "image", "ls"}, "--", nil},
		{[]string{"rm", "one", "--", "two"}, "rm", []string{"rm.container"}},
		{[]string{"show", "one"}, "", nil},
		{[]string{"nonsense"}, "s", []string{"show"}},
	} {
		require.Equal(t, c.want, Words(model, c.before, c.word, values), "%q %q", c.before, c.word)
	}
}

func TestScriptsAreForThreeShells(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		require.Contains(t, Script(shell), "completion words -- ")
	}
	require.Empty(t, Script("csh"))
}
