// Package corpus has a later stage build the cases that the sixth stage's tests compare with
// BuildKit's builds. Each is built twice: the second time from the cache, with the same result.
// The tests are in a package for each stage, so that go test runs them side by side.
package corpus

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

// suite is the test of the sixth stage that builds the cases; each is a part of it.
const suite = "TestBuildsAreBuildKits"

// Case is a build of the corpus.
type Case struct {
	name string // "copy/owner": its list and its own name
	text string
}

// Stage is a stage by its number.
func Stage(t *testing.T, number int) stages.Stage {
	root, err := stages.Root()
	require.NoError(t, err)
	s, err := stages.Get(root, number)
	require.NoError(t, err)
	return s
}

// Cases are all cases.
func Cases(t *testing.T) (all []Case) {
	lists, err := filepath.Glob(filepath.Join(Stage(t, 6).Dir, "testdata/builds/[^_]*.txtar"))
	require.NoError(t, err)
	for _, list := range lists {
		text, err := os.ReadFile(list)
		require.NoError(t, err)
		for _, c := range strings.Split("\n"+string(text), "\n== ")[1:] {
			name, _, _ := strings.Cut(c, "\n")
			all = append(all, Case{strings.TrimSuffix(filepath.Base(list), ".txtar") + "/" + strings.TrimSpace(name), c})
		}
	}
	require.Greater(t, len(all), 400)
	return all
}

// running is what only cases have that may run something: RUN, in the file or in the image
// "trigger" that it begins with, and flags about what RUN may do. A case that has one of these
// words in some other place counts as well.
var running = regexp.MustCompile(`(?i)\brun\b|\btrigger\b|--network|--allow|--security`)

// Runs reports whether the case may run something in a container.
func (c Case) Runs() bool { return running.MatchString(c.text) }

// Build has the box of a stage build cases. Root's steps have a bridge: it is in a network
// namespace of the test's own.
func Build(t *testing.T, s stages.Stage, cases []Case) {
	box := filepath.Join(t.TempDir(), "box")
	require.NoError(t, s.Build(t.Context(), box))
	// Cases wait for the disk more than they work: there are more at once than processors.
	cmd := exec.Command("go", "test", "-vet=off", "-count=1", "-timeout=0", "-v", "-parallel=4", "-run", pattern(cases), ".", "-args", "-box", box)
	if os.Geteuid() == 0 {
		cmd = exec.Command("unshare", append([]string{"-n", "sh", "-c", `ip link set lo up && exec "$@"`, "sh"}, cmd.Args...)...)
	}
	cmd.Dir = Stage(t, 6).Dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", failures(string(out)))
	require.Equal(t, names(cases), ran(string(out)), "which cases were built, or skipped for a reason")
}

// pattern is what -run selects the cases by: a list, and the names in it. A test compares each name
// with each alternative outside of parentheses, and compiles that again each time.
func pattern(cases []Case) string {
	in := map[string][]string{}
	for _, c := range cases {
		list, name, _ := strings.Cut(c.name, "/")
		in[list] = append(in[list], regexp.QuoteMeta(name))
	}
	var each []string
	for _, list := range slices.Sorted(maps.Keys(in)) {
		each = append(each, "^"+suite+"$/^"+regexp.QuoteMeta(list)+"$/^("+strings.Join(in[list], "|")+")$")
	}
	return strings.Join(each, "|")
}

func names(cases []Case) (all []string) {
	for _, c := range cases {
		all = append(all, c.name)
	}
	slices.Sort(all)
	return all
}

var ended = regexp.MustCompile(`(?m)^ +--- (?:PASS|SKIP): ` + suite + `/(\S+) `)

// ran are the cases that a test has run, by what it has printed.
func ran(out string) (all []string) {
	for _, m := range ended.FindAllStringSubmatch(out, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

var quiet = regexp.MustCompile(`(?m)^ *(?:=== .*|--- PASS: .*)\n`)

// failures is what a test has printed, without the cases that passed.
func failures(out string) string { return quiet.ReplaceAllString(out, "") }
