package nofile_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/nofile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// variable says that a test is run again, with a limit of its own.
const variable = "BOX_NOFILE_TEST"

func soft(t *testing.T) int {
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit))
	return int(limit.Cur)
}

// Go has raised the limit before main begins; a process that is made between Lower and Raise has the
// one that this program was started with.
func TestTheOldLimitComesBack(t *testing.T) {
	if os.Getenv(variable) == "" {
		again := exec.Command("sh", "-c", `ulimit -Sn 100 && ulimit -Hn 300 && exec "$0" -test.run TestTheOldLimitComesBack`, os.Args[0])
		again.Env = append(os.Environ(), variable+"=1")
		out, err := again.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	raised := soft(t)
	require.Greater(t, raised, 100)
	nofile.Lower()
	lowered := soft(t)
	nofile.Raise()
	require.Equal(t, 100, lowered)
	require.Equal(t, raised, soft(t))
	require.NoError(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: 300}, nil))
	nofile.Lower() // this limit is not Go's doing
	require.Equal(t, 200, soft(t))
	nofile.Raise()
	require.Equal(t, 200, soft(t))
}
