package cache

import (
	"slices"
	"testing"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/corpus"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBuildsAreTheSame builds cases with the stage that has a cache: half of them, at random;
// with STAGEBOX_LONG=1 all, with -short two, in turn with the corpus on the next stage. The stage before, whose tests build them all, has no cache.
func TestBuildsAreTheSame(t *testing.T) {
	boxtest.Turn(t, 0, 2)
	random := boxtest.Random(t)
	cases := slices.DeleteFunc(corpus.Cases(t), func(corpus.Case) bool {
		return !boxtest.Long() && random.IntN(2) == 0
	})
	corpus.Build(t, corpus.Stage(t, 7), boxtest.Sample(t, cases, 2))
}
