// Package unsteady finds the tests that failed and then passed when they were run again, in
// the events that `go test -json` prints (go doc test2json).
package unsteady

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Test is a test that was run more than once, and did not always end alike.
type Test struct {
	Package, Name string
	Attempts      []Attempt // in their order
}

// Attempt is one run of a test.
type Attempt struct {
	Passed bool
	Output string
}

// event is a line of go test -json, as far as it is needed.
type event struct{ Action, Package, Test, Output string }

// Find reads events and returns the unsteady tests, sorted. A test whose subtests are
// unsteady is left out: they are what is to be mended.
func Find(events io.Reader) ([]Test, error) {
	type key struct{ pkg, test string }
	tests, output := map[key]*Test{}, map[key]string{}
	for decoder := json.NewDecoder(events); ; {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("events of go test: %w", err)
		}
		k := key{e.Package, e.Test}
		switch {
		case e.Test == "":
		case e.Action == "output":
			output[k] += e.Output
		case e.Action == "pass" || e.Action == "fail":
			if tests[k] == nil {
				tests[k] = &Test{Package: e.Package, Name: e.Test}
			}
			tests[k].Attempts = append(tests[k].Attempts, Attempt{e.Action == "pass", output[k]})
			delete(output, k)
		}
	}
	var found []Test
	for _, t := range tests {
		if t.unsteady() {
			found = append(found, *t)
		}
	}
	slices.SortFunc(found, func(a, b Test) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Name, b.Name))
	})
	return slices.DeleteFunc(found, func(t Test) bool { return slices.ContainsFunc(found, t.isAbove) }), nil
}

// Packages reads events and returns the packages that failed although none of their tests did:
// in TestMain, or by what they left. There is no test to run again, so no second run of theirs
// proves anything.
func Packages(events io.Reader) (names []string, err error) {
	failed := map[string]bool{} // packages in whose present run a test has failed
	for decoder := json.NewDecoder(events); ; {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return names, nil
		} else if err != nil {
			return nil, fmt.Errorf("events of go test: %w", err)
		}
		switch {
		case e.Action == "start":
			delete(failed, e.Package)
		case e.Action == "fail" && e.Test != "":
			failed[e.Package] = true
		case e.Action == "fail" && !failed[e.Package] && !slices.Contains(names, e.Package):
			names = append(names, e.Package)
		}
	}
}

// unsteady reports whether the test failed, and passed in the end.
func (t Test) unsteady() bool {
	failed := slices.ContainsFunc(t.Attempts, func(a Attempt) bool { return !a.Passed })
	return failed && t.Attempts[len(t.Attempts)-1].Passed
}

// isAbove reports whether other is a subtest of the test.
func (t Test) isAbove(other Test) bool {
	return t.Package == other.Package && strings.HasPrefix(other.Name, t.Name+"/")
}

// String is the test's name and what each of its runs printed.
func (t Test) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", t.Package, t.Name)
	for i, a := range t.Attempts {
		result := "failed"
		if a.Passed {
			result = "passed"
		}
		fmt.Fprintf(&text, "  run %d %s:\n", i+1, result)
		for line := range strings.Lines(a.Output) {
			text.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return text.String()
}
