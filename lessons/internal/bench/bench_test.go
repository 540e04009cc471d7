package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRun: every entrant runs once to warm up, and then in each round; what fails is counted,
// and says why.
func TestRun(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	resets := 0
	results, err := Run(t.Context(), []Entrant{
		{Label: "good", Argv: []string{"sh", "-c", "echo $WORD >>" + log}, Env: []string{"WORD=good"}, Reset: func() error { resets++; return nil }},
		{Label: "bad", Argv: []string{"sh", "-c", "echo first >&2; echo last >&2; exit 3"}},
		{Label: "many", Many: 3, Each: func(n int) []string { return []string{"sh", "-c", "echo many >>" + log} }},
	}, 4)
	require.NoError(t, err)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, 5, bytes.Count(text, []byte("good\n")))
	require.Equal(t, 15, bytes.Count(text, []byte("many\n")))
	require.Equal(t, 5, resets)
	for _, r := range results {
		require.Len(t, r.Times, 4)
		require.IsNonDecreasing(t, r.Times)
		require.Positive(t, r.Faults)
	}
	require.Equal(t, []int{0, 4, 0}, []int{results[0].Failed, results[1].Failed, results[2].Failed})
	require.Equal(t, "last", results[1].Said)
}

func TestRunEnds(t *testing.T) {
	_, err := Run(t.Context(), []Entrant{{Label: "x", Argv: []string{"true"}, Reset: func() error { return errors.New("no") }}}, 1)
	require.EqualError(t, err, "x: before a run: no")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = Run(ctx, []Entrant{{Label: "x", Argv: []string{"sleep", "1000"}}}, 1)
	require.ErrorIs(t, err, context.Canceled)
}

// TestPeak: the memory is the program's own, however much this process has, and not that of the shell
// that starts it.
func TestPeak(t *testing.T) {
	ours := make([]byte, 64<<20)
	for i := range ours {
		ours[i] = 1
	}
	results, err := Run(t.Context(), []Entrant{
		{Label: "small", Argv: []string{"sleep", "0"}, Peak: true},
		{Label: "large", Argv: []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"}, Peak: true},
		{Label: "bad", Argv: []string{"sh", "-c", "echo why >&2; exit 3"}, Peak: true},
	}, 2)
	require.NoError(t, err)
	runtime.KeepAlive(ours)
	require.Len(t, results[0].Peaks, 2)
	require.Less(t, results[0].Peaks[1], int64(16<<10))
	require.Greater(t, results[1].Peaks[0], int64(48<<10))
	require.Equal(t, []int{0, 0, 2}, []int{results[0].Failed, results[1].Failed, results[2].Failed})
	require.Equal(t, "why", results[2].Said)
}

// TestPeakEnds: a program that is measured so ends with the context.
func TestPeakEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	begun := filepath.Join(t.TempDir(), "begun")
	require.NoError(t, unix.Mkfifo(begun, 0o600))
	go func() {
		os.ReadFile(begun)
		stop()
	}()
	_, err := Run(ctx, []Entrant{{Label: "x", Argv: []string{"sh", "-c", `: >"$0"; exec sleep 1000`, begun}, Peak: true}}, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	times := func(list ...time.Duration) (ms []time.Duration) {
		for _, n := range list {
			ms = append(ms, n*time.Millisecond)
		}
		return ms
	}
	require.NoError(t, Print(&b, []Result{
		{Label: "one", Times: times(1, 2, 9), Faults: 7},
		{Label: "two", Times: times(3, 5, 6), Faults: 8, Failed: 1, Said: "why"},
	}))
	require.Equal(t, ""+
		"MEDIAN     MIN     P90  RATIO  FAULTS  FAILED  WHAT\n"+
		"2.0 ms  1.0 ms  9.0 ms   1.00       7          one\n"+
		"5.0 ms  3.0 ms  6.0 ms   2.50       8  1: why  two\n", trim(b.String()))
	b.Reset()
	require.NoError(t, Print(&b, []Result{
		{Label: "fails", Times: times(1, 1, 1), Failed: 3, Said: "why"},
		{Label: "works", Times: times(3, 5, 6)},
	}))
	require.Regexp(t, `1\.0 ms +0\.20 +0 +3: why +fails\n *5\.0 ms .* 1\.00 +0 +works\n$`, b.String())
	b.Reset()
	require.NoError(t, Print(&b, []Result{{Label: "none", Times: times(1), Failed: 1, Said: "why"}}))
	require.Regexp(t, ` - +0 +1: why +none\n$`, b.String())
	b.Reset()
	require.NoError(t, Print(&b, []Result{{Label: "one", Times: times(1, 2, 9), Peaks: []int64{2048, 3072, 4096}, Faults: 7}}))
	require.Contains(t, b.String(), "3.0 MiB  2.0 MiB  4.0 MiB   1.00       7          one\n")
}

// trim removes the blanks on both sides of each line but the table's own.
func trim(s string) string {
	var out []byte
	for _, line := range bytes.Split([]byte(s), []byte("\n")) {
		out = append(append(out, bytes.TrimSpace(line)...), '\n')
	}
	return string(out[:len(out)-1])
}

// Podman fills a store that goes with the benchmark, not its own.
func TestBorrow(t *testing.T) {
	t.Setenv("CONTAINERS_STORAGE_CONF", "")
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none")
	b := &Bench{Dir: t.TempDir()}
	giveBack, err := b.Borrow(t.Context())
	require.NoError(t, err)
	conf, err := os.ReadFile(os.Getenv("CONTAINERS_STORAGE_CONF"))
	require.NoError(t, err)
	require.Contains(t, string(conf), "graphroot = \""+b.Dir+"/podman\"\n")
	require.NoError(t, giveBack())
}
