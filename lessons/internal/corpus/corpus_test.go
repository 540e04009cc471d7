package corpus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/stages"
)

func TestChanged(t *testing.T) {
	before, after := stages.Stage{Dir: t.TempDir()}, stages.Stage{Dir: t.TempDir()}
	put := func(s stages.Stage, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir, name), []byte("package main\n"+text), 0o644))
	}
	put(before, "a.go", "var a, b = 1, 2\n// f does this.\nfunc f() { a++ /* one more */ }\ntype T struct{ n int }\nfunc (t *T) m() {}\nfunc gone() {}\n")
	put(after, "a.go", "// Here we are.\nvar a, b = 1, 2\n// f does that.\nfunc f() { a++ }\ntype T struct{ n int64 }\nfunc (t *T) m() { f() }\nfunc more() {}\n")
	put(after, "b.go", "func other() {}\nfunc init() {}\n")
	put(after, "c.go", "func (t *T) another() {}\n")
	changed, err := Changed(before, after)
	require.NoError(t, err)
	require.Equal(t, []string{"a.go:T", "a.go:T.m", "a.go:more", "a.go:gone is gone", "b.go:init"}, changed)
	put(after, "d.go", "not go")
	_, err = Changed(before, after)
	require.ErrorContains(t, err, "d.go")
}

func TestWhichCasesRunSomething(t *testing.T) {
	runs := map[string]bool{}
	for _, c := range Cases(t) {
		runs[c.name] = c.Runs()
	}
	for name, is := range map[string]bool{
		"run/shell-form": true, "config/onbuild-of-a-stage": true, "run/network-none": true,
		"flags/chown-numbers": false, "copy/file": false,
	} {
		found, known := runs[name]
		require.True(t, known, name)
		require.Equal(t, is, found, name)
	}
}

func TestWhatATestHasRun(t *testing.T) {
	cases := []Case{{name: "copy/b"}, {name: "add/a.b"}}
	require.Equal(t, `^TestBuildsAreBuildKits$/^add$/^(a\.b|c)$|^TestBuildsAreBuildKits$/^copy$/^(b)$`, pattern(append(cases, Case{name: "add/c"})))
	const out = "=== RUN   TestBuildsAreBuildKits/copy/b\n--- FAIL: TestBuildsAreBuildKits (1.00s)\n" +
		"    --- PASS: TestBuildsAreBuildKits/copy/b (0.10s)\n    --- SKIP: TestBuildsAreBuildKits/add/a.b (0.00s)\n        why\n" +
		"    --- FAIL: TestBuildsAreBuildKits/add/c (0.00s)\n        oh\n"
	require.Equal(t, names(cases), ran(out))
	require.Equal(t, "--- FAIL: TestBuildsAreBuildKits (1.00s)\n    --- SKIP: TestBuildsAreBuildKits/add/a.b (0.00s)\n        why\n"+
		"    --- FAIL: TestBuildsAreBuildKits/add/c (0.00s)\n        oh\n", failures(out))
}
