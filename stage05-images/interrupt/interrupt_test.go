package interrupt

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// That an output which is not read ends a command too is tested with the program.
func TestContext(t *testing.T) {
	ctx, stop := Context()
	defer stop()
	require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGPIPE))
	require.NoError(t, ctx.Err(), "the output is open: another pipe was closed")
	require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGINT))
	<-ctx.Done()
}
