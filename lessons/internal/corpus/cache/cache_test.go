//go:build !short

package cache

import (
	"slices"
	"testing"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/corpus"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBuildsAreTheSame builds cases with the stage that has a cache: half of them, at random;
// with STAGEBOX_LONG=1 all. The stage before, whose tests build them all, has no cache.
func TestBuildsAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("builds 270 images twice: left out with -short")
	}
	random := boxtest.Random(t)
	corpus.Build(t, corpus.Stage(t, 7), slices.DeleteFunc(corpus.Cases(t), func(corpus.Case) bool {
		return !boxtest.Long() && random.IntN(2) == 0
	}))
}
