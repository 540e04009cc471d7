package plan

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestStatusOf(t *testing.T) {
	failed := func(name string, errno unix.Errno) error { return StepError{&Call{Name: name, Errno: errno}} }
	for _, c := range []struct {
		err             error
		run, exec, stop int
	}{
		{nil, 0, 0, 0},
		{ExitStatus(3), 3, 3, 3},
		{errors.New("no such flag"), 125, 1, 1},
		{failed("mount", unix.EPERM), 125, 126, 1},
		{failed("execve", unix.ENOENT), 127, 127, 1},
		{failed("execve", unix.EACCES), 126, 126, 1},
		{failed("execve", unix.E2BIG), 125, 126, 1},
	} {
		require.Equal(t, []int{c.run, c.exec, c.stop},
			[]int{StatusOf("run", c.err), StatusOf("exec", c.err), StatusOf("stop", c.err)}, c.err)
	}
}
