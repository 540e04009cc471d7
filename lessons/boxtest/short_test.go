package boxtest

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

// short has the rest of a test run as with -short, or without.
func short(t *testing.T, is string) {
	was := flag.Lookup("test.short").Value.String()
	require.NoError(t, flag.Set("test.short", is))
	t.Cleanup(func() { require.NoError(t, flag.Set("test.short", was)) })
}

// runs are those of n tests that take turns whose turn it is.
func runs(t *testing.T, n int) (whose []int) {
	for i := range n {
		t.Run("turn", func(t *testing.T) {
			Turn(t, i, n)
			whose = append(whose, i)
		})
	}
	return whose
}

func TestTurns(t *testing.T) {
	short(t, "true")
	require.Len(t, runs(t, 3), 1, "of one process")
	t.Setenv(Seed, "7")
	require.Equal(t, []int{1}, runs(t, 3), "by the seed")
	short(t, "false")
	require.Equal(t, []int{0, 1, 2}, runs(t, 3))
}

func TestSample(t *testing.T) {
	list := []int{1, 2, 3, 4, 5, 6, 7, 8, 9}
	short(t, "true")
	few := Sample(t, list, 3)
	require.Len(t, few, 3)
	require.IsIncreasing(t, few)
	require.Subset(t, list, few)
	require.Equal(t, list, Sample(t, list, 9))

	t.Setenv(Seed, "7")
	require.Equal(t, Sample(t, list, 3), Sample(t, list, 3))
	seen := map[int]bool{}
	for _, seed := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"} {
		t.Setenv(Seed, seed)
		for _, one := range Sample(t, list, 3) {
			seen[one] = true
		}
	}
	require.Len(t, seen, len(list), "each has its chance")
	short(t, "false")
	require.Equal(t, list, Sample(t, list, 3))
}

func TestSlow(t *testing.T) {
	ran := 0
	slow := func(t *testing.T) {
		Slow(t)
		ran++
	}
	short(t, "true")
	t.Run("left out", slow)
	require.Zero(t, ran)
	short(t, "false")
	t.Run("run", slow)
	require.Equal(t, 1, ran)
}
