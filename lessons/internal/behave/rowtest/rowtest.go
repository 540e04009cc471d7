// Package rowtest runs the rows of the behaviour suite as tests: a package for each stage,
// below stages, so that stages are tested side by side, and a subtest for each row, so that
// one row can be run alone:
//
//	go test ./lessons/internal/behave/stages/stage03 -run '^TestRows$/^root$/^cap-add'
package rowtest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/behave"
	"stagebox/lessons/internal/stages"
)

// sideBySide is how many rows of a package run at a time, where -parallel does not say it.
// They wait more than they work, and go test runs as many packages as there are CPUs.
const sideBySide = "5"

// Main is the body of each package's TestMain.
func Main(m *testing.M) {
	if err := flag.Set("test.parallel", sideBySide); err != nil { // before the flags are read
		panic(err)
	}
	boxtest.Main(m, nil)
}

// Rows holds the rows up to a stage against that stage's binary: the new ones, with their
// controls, and of the others a third, each time another one; with STAGEBOX_LONG=1 all of them, and
// always against the last stage that changes a file of the one before. A stage after that only has
// new files, which no row of another stage runs: a tenth of those rows is enough for it. With -short
// it is a few of them.
func Rows(t *testing.T, number int) {
	root, err := stages.Root()
	require.NoError(t, err)
	all, err := stages.All(root)
	require.NoError(t, err)
	suite := behave.Suite{Stage: number, Slow: true, Long: boxtest.Long(), Controls: true, New: true,
		Thin: thin(t, all, number), Ready: true}
	if suite.Thin > 0 {
		suite.Part = boxtest.Random(t).IntN(suite.Thin)
	}
	if testing.Short() {
		if number < len(all) {
			boxtest.Turn(t, number%4, 4)
		}
		suite.Names = few(t, number, number == len(all))
	}
	require.NotEmpty(t, suite.Rows(), "no row was chosen")
	suite.Binary = Built(t, all[number-1])
	runRows(t, suite)
}

// thin is how many of the rows of earlier stages there are for each that is held.
func thin(t *testing.T, all []stages.Stage, number int) int {
	whole := len(all)
	for whole > 1 && onlyAdds(t, all[whole-2], all[whole-1]) {
		whole--
	}
	switch {
	case boxtest.Long() || number == whole:
		return 0
	case number > whole:
		return 10
	}
	return 3
}

// onlyAdds reports whether a stage has all files of the one before, to the byte, but for main.go,
// which names its commands.
func onlyAdds(t *testing.T, before, s stages.Stage) bool {
	names, err := before.Files(false)
	require.NoError(t, err)
	for _, name := range names {
		was, err := os.ReadFile(filepath.Join(before.Dir, name))
		require.NoError(t, err)
		is, err := os.ReadFile(filepath.Join(s.Dir, name))
		if name != "main.go" && (err != nil || !bytes.Equal(was, is)) {
			return false
		}
	}
	return true
}

// few are the names of the rows that are held with -short: one that is new in the stage, if it is
// its turn, and against the last stage one of each stage's.
func few(t *testing.T, number int, last bool) (names []string) {
	of := map[int][]string{}
	for _, row := range (behave.Suite{Stage: number}).Rows() {
		of[row.Since] = append(of[row.Since], row.Name)
	}
	for since := range number + 1 {
		if last || since == number {
			names = append(names, boxtest.Sample(t, of[since], 1)...)
		}
	}
	return names
}

// Built is a stage's binary where every user may run it.
func Built(t *testing.T, s stages.Stage) string {
	dir, err := os.MkdirTemp("", "stagebox-behave")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "box")
	require.NoError(t, s.Build(t.Context(), binary))
	return binary
}

// runRows has root's subtests and those of an ordinary user run side by side, after those of
// the rows that must be alone: what is parallel begins only when the rest has ended.
func runRows(t *testing.T, suite behave.Suite) {
	bench, err := suite.Open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bench.Close()) })
	for who, name := range map[behave.Who]string{behave.Root: "root", behave.User: "user"} {
		t.Run(name, func(t *testing.T) {
			for _, job := range bench.Jobs() {
				if job.Who == who && job.Row.Alone != "" {
					t.Run(testName(job.Row.Name), func(t *testing.T) { runRow(t, bench, job) })
				}
			}
			t.Parallel()
			for _, job := range slowFirst(bench.Jobs()) {
				if job.Who == who && job.Row.Alone == "" {
					t.Run(testName(job.Row.Name), func(t *testing.T) {
						t.Parallel()
						runRow(t, bench, job)
					})
				}
			}
		})
	}
}

// slowFirst has those that take longest begin first, so that they are not waited for in the end.
func slowFirst(jobs []behave.Job) []behave.Job {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b behave.Job) int { return rank[b.Row.Slow] - rank[a.Row.Slow] })
	return jobs
}

var rank = map[bool]int{true: 1}

func runRow(t *testing.T, bench *behave.Bench, job behave.Job) {
	r, err := bench.Do(job)
	require.NoError(t, err)
	switch {
	case r.Skipped != "":
		t.Skip(r.Skipped)
	case r.OK():
	case r.Holds:
		t.Errorf("the row holds, and its control does not fail as it should: as %s: ran %q, saw %s\ncontrol: ran %q, saw %s", r.As, r.Ran, r.Saw, r.Control.Ran, r.Control.Saw)
	default:
		t.Errorf("as %s: ran %q, expected %s, saw %s", r.As, r.Ran, r.Expected, r.Saw)
	}
}

// special are the characters that mean something in a pattern for -run.
var special = regexp.MustCompile(`[^\pL\pN_,:;'=-]+`)

// testName is a row's name without those, and without dashes at the beginning.
func testName(row string) string {
	return strings.Trim(special.ReplaceAllString(row, "_"), "-_")
}
