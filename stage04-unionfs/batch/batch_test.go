package batch_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/batch"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// printed returns what do prints on standard output and standard error.
func printed(t *testing.T, do func()) string {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = file, file
	defer func() { os.Stdout, os.Stderr = out, errs }()
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
		require.Equal(t, "a\nbox: bad\nc\n", printed(t, func() {
			require.Equal(t, plan.ExitStatus(1), run([]string{"a", "b", "c"}, do))
			require.Same(t, bad, run([]string{"b"}, do), "the caller prints it")
		}))
	}
	require.NoError(t, batch.Each(nil, do))

	skip := func(string) error { return batch.Skip(bad) }
	require.Equal(t, "box: bad\nbox: bad\nbox: bad\n", printed(t, func() {
		require.NoError(t, batch.Print([]string{"a"}, skip))
		require.NoError(t, batch.SideBySide([]string{"a", "b"}, skip))
	}))
	require.Equal(t, "box: bad\n", printed(t, func() { // the exit status of a box that has printed why
		require.Equal(t, plan.ExitStatus(1), batch.Each([]string{"a", "b"}, func(name string) error {
			return map[string]error{"a": plan.ExitStatus(127), "b": bad}[name]
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

// Every number is met once, and not all by one goroutine where there are several processors.
func TestSpread(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		met := make([]int, n)
		batch.Spread(n, func(i int) { met[i]++ })
		for i, times := range met {
			require.Equal(t, 1, times, i)
		}
	}
	if runtime.GOMAXPROCS(0) < 2 {
		return
	}
	var both sync.WaitGroup
	both.Add(2)
	batch.Spread(2, func(int) { both.Done(); both.Wait() }) // one alone would wait forever
}
