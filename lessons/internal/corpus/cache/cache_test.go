package cache

import (
	"testing"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/corpus"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestBuildsAreTheSame builds all cases with the stage that has a cache.
func TestBuildsAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("builds 550 images twice: left out with -short")
	}
	corpus.Build(t, corpus.Stage(t, 7), corpus.Cases(t))
}
