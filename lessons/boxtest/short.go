package boxtest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// With -short a run is a sample. Cheap tests always run. The others are left out (Slow), take turns
// (Turn) or run a few of their cases (Sample), different ones in each run. The seed of each choice
// is logged, and STAGEBOX_SEED=N makes the same one again. Without -short these functions do nothing.

// Slow marks a test that takes seconds: -short leaves it out. why may say what takes them.
func Slow(t testing.TB, why ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip(append(why, "takes seconds")[0] + ": left out with -short")
	}
}

// Turn marks the i-th, from 0, of n tests that take turns with -short: one of them is run each
// time. It is exactly one where they are in one package, or have one seed from `lessons test`.
func Turn(t testing.TB, i, n int) {
	t.Helper()
	if seed := seed(t, ofTurns); testing.Short() && seed%uint64(n) != uint64(i) {
		t.Skipf("with -short, one of %d tests is run each time, and %s=%d is not for this one", n, Seed, seed)
	}
}

// ofTurns is the seed of all turns in this process.
var ofTurns = rand.Uint64()

// Sample is a list, or with -short n elements of it in their order, others each time.
func Sample[E any](t testing.TB, list []E, n int) (few []E) {
	t.Helper()
	if !testing.Short() || len(list) <= n {
		return list
	}
	chosen := Random(t).Perm(len(list))[:n]
	slices.Sort(chosen)
	for _, i := range chosen {
		few = append(few, list[i])
	}
	return few
}
