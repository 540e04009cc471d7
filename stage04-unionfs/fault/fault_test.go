package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/fault"
)

var errSample = fault.NotFound.New("no such thing")

// TestKinds: an error keeps its kind in what wraps it, and its identity and text as any error does.
func TestKinds(t *testing.T) {
	wrapped := fmt.Errorf("%w: %q", errSample, "x")
	require.Equal(t, fault.NotFound, fault.Of(wrapped))
	require.ErrorIs(t, wrapped, errSample)
	require.EqualError(t, wrapped, `no such thing: "x"`)
	require.Equal(t, fault.Other, fault.Of(errors.New("no such thing")), "its words do not count")
	require.Equal(t, fault.Other, fault.Of(nil))
	cause := errors.New("cause")
	require.ErrorIs(t, fault.Conflict.Errorf("busy: %w", cause), cause)
	require.Equal(t, fault.NotFound, fault.Of(fault.Invalid.Wrap(wrapped)), "the first one counts")
	require.Equal(t, fault.Invalid, fault.Of(fault.Invalid.Wrap(cause)))
	require.NoError(t, fault.Invalid.Wrap(nil))
}

// TestMarks: the kind goes from one process to the other, if that asks for it.
func TestMarks(t *testing.T) {
	require.Empty(t, fault.Mark(errSample))
	t.Setenv(fault.Variable, "1")
	require.Empty(t, fault.Mark(errors.New("cause")))
	line := fault.Mark(errSample)
	require.Equal(t, byte('\n'), line[len(line)-1])
	kind, is := fault.Marked(line[:len(line)-1])
	require.True(t, is)
	require.Equal(t, fault.NotFound, kind)
	_, is = fault.Marked("box: no such thing")
	require.False(t, is)
}
