package interrupt

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestContext(t *testing.T) {
	ctx, stop := Context()
	mine := make(chan os.Signal, 1)
	signal.Notify(mine, unix.SIGPIPE)
	defer signal.Stop(mine)
	for range 100 { // it is not known when Context has seen one
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGPIPE))
		<-mine
	}
	require.NoError(t, ctx.Err(), "the output is open: another pipe was closed")
	require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGINT))
	<-ctx.Done()
	stop()
	ctx, stop = Context()
	stop()
	require.Error(t, ctx.Err(), "what still waits for it ends")
}

// TestOutputIsClosed starts itself with an output that is not read. A command that writes ends, with
// the status that a shell has for SIGPIPE; one that does not write has a status of its own.
func TestOutputIsClosed(t *testing.T) {
	const role = "INTERRUPT_TEST_ROLE"
	switch os.Getenv(role) {
	case "":
		for does, want := range map[string]int{"writes": 128 + int(unix.SIGPIPE), "is silent": 5} {
			read, write, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, read.Close())
			command := exec.Command("/proc/self/exe", "-test.run=^TestOutputIsClosed$")
			command.Env, command.Stdout = append(os.Environ(), role+"="+does), write
			require.Error(t, command.Run())
			require.NoError(t, write.Close())
			require.Equal(t, want, command.ProcessState.ExitCode(), does)
		}
	case "writes":
		ctx, stop := Context()
		os.Stdout.WriteString("text")
		<-ctx.Done()
		stop()
		os.Exit(4)
	default:
		_, stop := Context()
		stop()
		os.Exit(5)
	}
}
