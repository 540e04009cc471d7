package boxtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Long reports whether tests that walk at random take their long form, as `go run ./lessons
// soak` asks them to with STAGEBOX_LONG=1. The short form runs always, another way each time.
func Long() bool { return os.Getenv("STAGEBOX_LONG") == "1" }

// Random is a source of random numbers for one test. Its seed is logged, and so shown when
// the test fails; STAGEBOX_SEED=N makes the same numbers again.
func Random(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	if text := os.Getenv("STAGEBOX_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("STAGEBOX_SEED: %v", err)
		}
	}
	t.Logf("STAGEBOX_SEED=%d walks the same way again", seed)
	return rand.New(rand.NewPCG(seed, seed))
}
