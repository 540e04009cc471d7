package state

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

func TestAdvice(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "/x", Err: unix.ENOSPC}
	require.Equal(t, "     box rm, box rmi and, where there is a build cache, box builder prune make room in the store; another place for it is given by --root DIR or BOX_ROOT\n",
		Advice(fmt.Errorf("unpack: %w", full)))
	require.Empty(t, Advice(unix.EROFS))
	require.Empty(t, Advice(nil))
	require.Empty(t, Advice(&os.PathError{Op: "write", Path: os.Stdout.Name(), Err: unix.ENOSPC}), "not the store's")
	require.Empty(t, Advice(plan.StepError{Call: &plan.Call{Errno: unix.ENOSPC}}), "a limit of the kernel's")
}
