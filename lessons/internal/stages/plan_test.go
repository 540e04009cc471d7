package stages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestPlan builds a stage twice: its list is that of a run, and the same both times.
func TestPlan(t *testing.T) {
	root, err := Root()
	require.NoError(t, err)
	stage, err := Get(root, 2)
	require.NoError(t, err)
	first, err := stage.Plan(t.Context(), t.TempDir())
	require.NoError(t, err)
	second, err := stage.Plan(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, first, second)
	text := strings.Join(first, "\n")
	require.Regexp(t, `(?m)^host│ clone3\(`, text)
	require.Regexp(t, `^box │ execve\(FOUND, \["true"\]`, first[len(first)-1])
}

// TestPlansAreAlike: stage 7 adds no call to a run, and ids that are made up are no difference.
func TestPlansAreAlike(t *testing.T) {
	boxtest.Slow(t) // it builds both stages
	root, err := Root()
	require.NoError(t, err)
	plan := func(number int) []string {
		stage, err := Get(root, number)
		require.NoError(t, err)
		lines, err := stage.Plan(t.Context(), t.TempDir())
		require.NoError(t, err)
		return lines
	}
	require.Equal(t, plan(6), plan(7))
}

func TestPlanOfWhatDoesNotBuild(t *testing.T) {
	_, err := Stage{Number: 1, Topic: "none", Dir: t.TempDir()}.Plan(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "go build")
}
