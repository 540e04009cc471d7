package once

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGet(t *testing.T) {
	var m Map[string, int]
	var made atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got, err := m.Get("a", func() (int, error) { return int(made.Add(1)), nil })
			require.Equal(t, 1, got)
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.Equal(t, int32(1), made.Load(), "once, however many ask")
}

// TestGetInside has one thing ask for another while it is made, as a stage does.
func TestGetInside(t *testing.T) {
	var m Map[string, int]
	got, err := m.Get("outer", func() (int, error) {
		inner, err := m.Get("inner", func() (int, error) { return 2, nil })
		return inner + 1, err
	})
	require.NoError(t, err)
	require.Equal(t, 3, got)
	require.Equal(t, 2, m.Made("inner"))
	require.ElementsMatch(t, []int{2, 3}, m.All())
}

func TestGetErrors(t *testing.T) {
	var m Map[int, string]
	failed := errors.New("failed")
	for range 2 {
		got, err := m.Get(1, func() (string, error) { return "half", failed })
		require.Equal(t, "half", got, "what there is of it")
		require.Equal(t, failed, err, "the same error for all")
	}
	require.Equal(t, []string{"half"}, m.All())
}
