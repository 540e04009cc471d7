package stage04

import (
	"testing"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/exercises/trytest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestExercises(t *testing.T) { trytest.Exercises(t, 4) }
