package batch_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/batch"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// printed returns what do prints on standard output.
func printed(t *testing.T, do func()) string {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	old := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = old }()
	do()
	data, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return string(data)
}

func TestOneFails(t *testing.T) {
	bad := errors.New("bad")
	do := func(name string) error {
		if name == "b" {
			return bad
		}
		return nil
	}
	for _, run := range []func([]string, func(string) error) error{batch.Print, batch.SideBySide} {
		require.Equal(t, "a\nc\n", printed(t, func() {
			require.Same(t, bad, run([]string{"a", "b", "c"}, do), "a single error is not wrapped")
			require.EqualError(t, run([]string{"b", "b"}, do), "bad\nbad")
		}))
	}
	require.NoError(t, batch.Each(nil, do))

	require.Equal(t, "b\n", printed(t, func() {
		require.NoError(t, batch.SideBySide([]string{"a", "b"}, func(name string) error {
			if name == "a" {
				return batch.Skip(bad)
			}
			return nil
		}))
	}))
}

// Each of the three waits until all have begun; what is printed is in their order all the same.
func TestSideBySide(t *testing.T) {
	names := []string{"a", "b", "c"}
	var begun sync.WaitGroup
	begun.Add(len(names))
	require.Equal(t, "a\nb\nc\n", printed(t, func() {
		require.NoError(t, batch.SideBySide(names, func(string) error {
			begun.Done()
			begun.Wait()
			return nil
		}))
	}))
}
