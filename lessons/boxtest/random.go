package boxtest

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Long reports whether tests that walk at random take their long form, as `go run ./lessons
// soak` asks them to with STAGEBOX_LONG=1. The short form runs always, another way each time.
func Long() bool { return os.Getenv("STAGEBOX_LONG") == "1" }

// Seed is the variable that says with which seed to choose.
const Seed = "STAGEBOX_SEED"

// Random is a source of random numbers for one test. Its seed is logged, and so shown when
// the test fails; STAGEBOX_SEED=N makes the same numbers again, other ones for a test of another name.
func Random(t testing.TB) *rand.Rand {
	seed := seed(t, rand.Uint64())
	t.Logf("%s=%d walks the same way again", Seed, seed)
	name := fnv.New64a()
	name.Write([]byte(t.Name())) // never fails
	return rand.New(rand.NewPCG(seed, name.Sum64()))
}

// seed is the one that STAGEBOX_SEED sets, or the other one.
func seed(t testing.TB, other uint64) uint64 {
	text := os.Getenv(Seed)
	if text == "" {
		return other
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", Seed, err)
	}
	return seed
}
