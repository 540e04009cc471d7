package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
}

// trim removes the blanks on both sides of each line but the table's own.
func trim(s string) string {
	var out []byte
	for _, line := range bytes.Split([]byte(s), []byte("\n")) {
		out = append(append(out, bytes.TrimSpace(line)...), '\n')
	}
	return string(out[:len(out)-1])
}
