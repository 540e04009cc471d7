package carry

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// madeUp is a repository of three stages, each with a.go, to which a later stage adds.
func madeUp(t *testing.T) (root string, all []stages.Stage) {
	root = t.TempDir()
	const a = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
	write(t, root, "stage01-a/a.go", a)
	write(t, root, "stage01-a/b.go", "same\n")
	write(t, root, "stage02-b/a.go", a+"added by 2\n")
	write(t, root, "stage02-b/b.go", "same\n")
	write(t, root, "stage03-c/a.go", "added by 3\n"+a+"added by 2\n")
	write(t, root, "stage03-c/b.go", "same\n")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	all, err := stages.All(root)
	require.NoError(t, err)
	return root, all
}

func write(t *testing.T, root, name, text string) {
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func read(t *testing.T, root, name string) string {
	data, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(data)
}

func carryAll(t *testing.T, root string, from int, all []stages.Stage) []Count {
	changes, err := Changes(context.Background(), root, all[from-1], "HEAD")
	require.NoError(t, err)
	var counts []Count
	for _, later := range all[from:] {
		n, err := Into(context.Background(), later, changes)
		require.NoError(t, err)
		counts = append(counts, n)
	}
	return counts
}

func TestNothingToCarry(t *testing.T) {
	root, all := madeUp(t)
	changes, err := Changes(context.Background(), root, all[0], "HEAD")
	require.NoError(t, err)
	require.Empty(t, changes)
}

func TestChangeIsMergedIntoWhatLaterStagesAdded(t *testing.T) {
	root, all := madeUp(t)
	write(t, root, "stage01-a/a.go", "one\ntwo\nthree\nFOUR\nfive\nsix\nseven\n")
	require.Equal(t, []Count{{Merged: 1}, {Merged: 1}}, carryAll(t, root, 1, all))
	require.Equal(t, "one\ntwo\nthree\nFOUR\nfive\nsix\nseven\nadded by 2\n", read(t, root, "stage02-b/a.go"))
	require.Equal(t, "added by 3\none\ntwo\nthree\nFOUR\nfive\nsix\nseven\nadded by 2\n", read(t, root, "stage03-c/a.go"))
	require.Equal(t, []Count{{}, {}}, carryAllAgain(t, root, all), "carrying twice changes nothing")
}

// carryAllAgain carries a second time; merged files count as merged only if they change.
func carryAllAgain(t *testing.T, root string, all []stages.Stage) []Count {
	before := read(t, root, "stage02-b/a.go") + read(t, root, "stage03-c/a.go")
	counts := carryAll(t, root, 1, all)
	require.Equal(t, before, read(t, root, "stage02-b/a.go")+read(t, root, "stage03-c/a.go"))
	for i := range counts {
		counts[i].Merged = 0
	}
	return counts
}

// A test is carried where it is kept already; any other file has to be.
func TestTestsStayWhereTheyAreKept(t *testing.T) {
	root, all := madeUp(t)
	for name, stays := range map[string]bool{"b_test.go": true, "testdata/b": true, "b.go": false} {
		gone := filepath.Join(root, "stage02-b", name)
		require.NoError(t, os.RemoveAll(gone))
		_, err := Into(context.Background(), all[1], []Change{{Name: name, Before: []byte("as it was\n"), After: []byte("changed\n")}})
		require.Equal(t, stays, err == nil, "%s: %v", name, err)
		require.NoFileExists(t, gone)
		_, err = Into(context.Background(), all[1], []Change{{Name: name, After: []byte("new\n")}})
		require.NoError(t, err)
		_, err = os.Stat(gone)
		require.Equal(t, stays, os.IsNotExist(err), "%s: %v", name, err)
	}
}

func TestFilesAreCopiedAndDeleted(t *testing.T) {
	root, all := madeUp(t)
	write(t, root, "stage01-a/b.go", "changed\n")
	write(t, root, "stage01-a/new.txt", "new\n")
	require.Equal(t, []Count{{Copied: 2}, {Copied: 2}}, carryAll(t, root, 1, all))
	require.Equal(t, "changed\n", read(t, root, "stage03-c/b.go"))
	require.Equal(t, "new\n", read(t, root, "stage03-c/new.txt"))

	root, all = madeUp(t)
	require.NoError(t, os.Remove(filepath.Join(root, "stage01-a/b.go")))
	require.Equal(t, []Count{{Deleted: 1}, {Deleted: 1}}, carryAll(t, root, 1, all))
	require.NoFileExists(t, filepath.Join(root, "stage03-c/b.go"))
}

// TestToolsAreNotCarried: what changes in a tool, appears in it or goes with it is not carried.
func TestToolsAreNotCarried(t *testing.T) {
	root, all := madeUp(t)
	write(t, root, "stage01-a/plan/plan.go", "package plan\n")
	write(t, root, "stage01-a/plan/testdata/x.go", "x\n")
	write(t, root, "stage01-a/testdata/y.go", "y\n")
	write(t, root, "stage01-a/b.go", "changed\n")
	changes, err := Changes(context.Background(), root, all[0], "HEAD")
	require.NoError(t, err)
	changes = append(changes, Change{Name: "gone/gone.go", Before: []byte("package gone\n")}, Change{Name: "gone/data.txt", Before: []byte("x\n")})
	flat, tools, err := Split(all[0], changes)
	require.NoError(t, err)
	require.Equal(t, []string{"gone", "plan"}, tools)
	var names []string
	for _, c := range flat {
		names = append(names, c.Name)
	}
	require.ElementsMatch(t, []string{"b.go", "testdata/y.go"}, names)
}

func TestConflictNamesItsLineAndCanBeResumed(t *testing.T) {
	root, all := madeUp(t)
	write(t, root, "stage01-a/a.go", "ONE\ntwo\nthree\nfour\nfive\nsix\nseven\n")
	changes, err := Changes(context.Background(), root, all[0], "HEAD")
	require.NoError(t, err)
	_, err = Into(context.Background(), all[1], changes)
	require.NoError(t, err)
	write(t, root, "stage03-c/a.go", "uno\ntwo\nthree\nfour\nfive\nsix\nseven\nadded by 2\n")
	_, err = Into(context.Background(), all[2], changes)
	var conflict *Conflict
	require.ErrorAs(t, err, &conflict)
	require.EqualError(t, err, "stage03-c/a.go: conflict at line 1")
	require.Contains(t, read(t, root, "stage03-c/a.go"), "<<<<<<< this stage\nuno\n||||||| before\none\n=======\nONE\n>>>>>>> carried\n")
}

func TestWhatCannotBeMergedIsNotTouched(t *testing.T) {
	root, all := madeUp(t)
	write(t, root, "stage01-a/c.go", "new in 1\n")
	write(t, root, "stage02-b/c.go", "another\n")
	require.NoError(t, os.Remove(filepath.Join(root, "stage01-a/a.go")))
	changes, err := Changes(context.Background(), root, all[0], "HEAD")
	require.NoError(t, err)
	_, err = Into(context.Background(), all[1], changes)
	require.ErrorContains(t, err, "stage02-b/c.go: new before, but this stage has another file")
	require.ErrorContains(t, err, "stage02-b/a.go: deleted before, but this stage has changes of its own")
	require.Equal(t, "another\n", read(t, root, "stage02-b/c.go"))
	require.Contains(t, read(t, root, "stage02-b/a.go"), "added by 2")
}
