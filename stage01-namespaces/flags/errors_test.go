package flags

import (
	"errors"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// Each mistake is made against a command line of kong's, whose messages may change with it.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `missing command: run, runner, many or net; see box --help`},
		{[]string{"rum"}, `unknown command "rum" (did you mean run?); see box --help`},
		{[]string{"zzzzzzzz"}, `unknown command "zzzzzzzz"; see box --help`},
		{[]string{"run"}, `run: missing argument <image>; see box run --help`},
		{[]string{"run", "a", "b"}, `run: too many arguments: "b"; see box run --help`},
		{[]string{"run", "a", "b\nc"}, `run: too many arguments: "b\nc"; see box run --help`},
		{[]string{"runner"}, `runner: missing argument <image>; see box runner --help`},
		{[]string{"run", "--memor", "a"}, `run: unknown flag --memor (did you mean --memory or --memory-swap?); see box run --help`},
		{[]string{"run", "--zzzzzzzz", "a"}, `run: unknown flag --zzzzzzzz; see box run --help`},
		{[]string{"--memory", "1", "run", "a"}, `unknown flag --memory: the flags of a command follow its name; see box --help`},
		{[]string{"-d", "run", "a"}, `unknown flag -d: the flags of a command follow its name; see box --help`},
		{[]string{"run", "-Z", "a"}, `run: unknown flag -Z; see box run --help`},
		{[]string{"run", "--pull=x", "a"}, `run: --pull "x": must be always or never; see box run --help`},
		{[]string{"run", "--pull=expected one of", "a"}, `run: --pull "expected one of": must be always or never; see box run --help`},
		{[]string{"run", "--memory", "a"}, `run: --memory: "a" is not a whole number; see box run --help`},
		{[]string{"net"}, `net: missing command: ls or rm; see box net --help`},
		{[]string{"many"}, `many: missing command; see box many --help`},
		{[]string{"net", "la"}, `net: unknown command "la" (did you mean ls or rm?); see box net --help`},
		{[]string{"net", "rm"}, `net rm: missing argument <network>; see box net rm --help`},
		{[]string{"run", "-pull=always", "a"}, `run: unknown flag -pull (did you mean --pull?); see box run --help`},
		{[]string{"run", "--picture=x", "a"}, `run: --picture "x": must be text or svg; see box run --help`},
		{[]string{"pids", "web"}, `pids: <pid> "web": must be a whole number; see box pids --help`},
		{[]string{"pid", "web"}, `pid: <pid> "web": must be a whole number; see box pid --help`},
		{[]string{"net", "ls", "x"}, `net ls: too many arguments: "x"; see box net ls --help`},
	} {
		var line struct {
			Run struct {
				Memory     int64 `short:"m"`
				MemorySwap int64
				Pull       string `enum:"always,never" default:"never"`
				Picture    string `enum:",text,svg" default:""`
				Image      string `arg:""`
			} `cmd:""`
			Pids struct {
				PIDs []int64 `arg:"" optional:"" name:"pid"`
			} `cmd:"" hidden:""`
			Pid struct {
				PID int64 `arg:"" name:"pid"`
			} `cmd:"" hidden:""`
			Runner struct {
				Images []string `arg:"" name:"image"`
			} `cmd:""`
			Many struct {
				A, B, C, D, E, F struct{} `cmd:""`
			} `cmd:""`
			Net struct {
				Ls struct{} `cmd:""`
				Rm struct {
					Names []string `arg:"" name:"network"`
				} `cmd:""`
			} `cmd:""`
		}
		k := kong.Must(&line, kong.PostBuild(asDocker), kong.Name("box"))
		_, err := k.Parse(c.args)
		require.EqualError(t, Explain("box", err), c.want, c.args)
	}
	other := errors.New("not kong's")
	require.Equal(t, other, Explain("box", other))
}
