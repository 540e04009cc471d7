package behave

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func everyStage(t *testing.T) (root string, list []stages.Stage) {
	root, err := stages.Root()
	require.NoError(t, err)
	list, err = stages.All(root)
	require.NoError(t, err)
	return root, list
}

// TestEveryStageIsTested looks for the package that holds the rows against each stage.
func TestEveryStageIsTested(t *testing.T) {
	root, list := everyStage(t)
	below := filepath.Join(root, "lessons/internal/behave/stages")
	for _, s := range list {
		text, err := os.ReadFile(filepath.Join(below, fmt.Sprintf("stage%02d", s.Number), "rows_test.go"))
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf("func TestRows(t *testing.T) { rowtest.Rows(t, %d) }\n", s.Number))
	}
	packages, err := os.ReadDir(below)
	require.NoError(t, err)
	require.Len(t, packages, len(list))
}

// TestRunIsInOrder has many workers report rows in the table's order, and ends all when one
// cannot go on.
func TestRunIsInOrder(t *testing.T) {
	rows := []string{"the exit status of a command that succeeds is 0", "the exit status is the command's own", "version prints one line", "info names the kernel"}
	binary := filepath.Join(t.TempDir(), "box")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	suite := Suite{Binary: binary, Stage: 1, Names: rows, Workers: 4}
	bench, err := suite.Open(t.Context())
	require.NoError(t, err)
	require.NoError(t, bench.Close())
	var expected, reported []string
	for _, job := range bench.Jobs() {
		expected = append(expected, job.As+": "+job.Row.Name)
	}
	require.NoError(t, suite.Run(t.Context(), func(r Result) { reported = append(reported, r.As+": "+r.Row.Name) }))
	require.Equal(t, expected, reported)

	stopped, stop := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	err = suite.Run(stopped, func(Result) { stop(why) })
	require.ErrorIs(t, err, why)
}

// failing are the names of the rows, among some, that do not hold for a binary, whoever runs it.
func failing(t *testing.T, binary string, among []string) []string {
	var names []string
	suite := Suite{Binary: binary, Stage: 1, Workers: 4, Names: among}
	require.NoError(t, suite.Run(context.Background(), func(r Result) {
		if r.Skipped == "" && !r.Holds && !slices.Contains(names, r.Row.Name) {
			names = append(names, r.Row.Name)
			t.Logf("%s, as %s: saw %s", r.Row.Name, r.As, r.Saw)
		}
	}))
	slices.Sort(names)
	return names
}

// TestLeavesOut runs the suite on binaries that leave out one namespace each: exactly the
// rows that speak of it may fail. Of the others it takes a third, each time another one.
func TestLeavesOut(t *testing.T) {
	boxtest.Slow(t, "runs the suite once for each namespace")
	_, list := everyStage(t)
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		require.NoError(t, os.Chmod(at, 0o755)) // for every user
	}
	binary := filepath.Join(dir, "box")
	require.NoError(t, list[0].Build(t.Context(), binary))
	for kind, want := range leftOut {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			wrapper := filepath.Join(dir, "without-"+kind)
			script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = run ] && { shift; set -- run --share %s \"$@\"; }\nexec %s \"$@\"\n", kind, binary)
			require.NoError(t, writeProgram(wrapper, []byte(script)))
			require.Equal(t, expectedToFail(want), failing(t, wrapper, some(t, want)))
		})
	}
}

// some are the names of these rows of the first stage, and of a third of the others at random;
// of all of them with STAGEBOX_LONG=1.
func some(t *testing.T, these []string) (names []string) {
	random := boxtest.Random(t)
	for _, row := range (Suite{Stage: 1}).Rows() {
		if slices.Contains(these, row.Name) || boxtest.Long() || random.IntN(3) == 0 {
			names = append(names, row.Name)
		}
	}
	return names
}

// expectedToFail are those of the rows that this user runs.
func expectedToFail(rows []string) []string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(name string) bool {
		if os.Geteuid() == 0 { // root's runs share a network that has nothing but loopback either
			return name == "the network inside is loopback, which is up, and nothing else"
		}
		return forRoot(name)
	})
	slices.Sort(rows)
	return rows
}

// forRoot reports whether only root runs a row.
func forRoot(name string) bool {
	i := slices.IndexFunc(table, func(r Row) bool { return r.Name == name })
	return i >= 0 && table[i].For == Root
}

// leftOut are the rows that fail without a namespace.
var leftOut = map[string][]string{
	"mnt": {"the mount namespace is its own", "a mount made inside is not seen outside",
		"a mount made inside is not seen outside, though the host's mounts are shared",
		"/proc shows the container's processes and no others", "exec's command is beside the container's process 1"},
	"pid": {"the PID namespace is its own", "the command is process 1 inside, and has another number outside",
		"process 1 cannot be killed from inside",
		"/proc shows the container's processes and no others", "exec's command is beside the container's process 1",
		"lsns shows a running container by its process and its PID namespace", "when the binary is killed, no process is left inside"},
	"uts": {"the UTS namespace is its own", "the hostname inside is its own", "the hostname inside is what --hostname or -h says",
		"a hostname changed inside is not changed outside", "the domain name inside is what --domainname says"},
	"ipc": {"the IPC namespace is its own", "shared memory of the host is not seen inside"},
	"net": {"the network namespace is its own", "sockets of the host are not seen inside",
		"the network inside is loopback, which is up, and nothing else"},
	"cgroup": {"the cgroup namespace is its own"},
	"time":   {"the time namespace is its own"},
}

// TestAttacksOfTheLesson: lesson 3 has a student run the rows with this word, and they are attacks
// that get through when the protection is off.
func TestAttacksOfTheLesson(t *testing.T) {
	text, err := os.ReadFile("../../03-rootfs.md")
	require.NoError(t, err)
	require.Contains(t, string(text), "go run ./lessons check 3 --only cannot -v")
	attacks := 0
	for _, row := range (Suite{Stage: 3, Words: "cannot"}).Rows() {
		if row.Broken != "" && row.Since == 3 {
			attacks++
		}
	}
	require.GreaterOrEqual(t, attacks, 15)
}

// TestVisitsLeaveNoThread: after a visit no thread of this process stays in the other network.
func TestVisitsLeaveNoThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may enter another network")
	}
	sleep := exec.Command("unshare", "--net", "sleep", "1000")
	require.NoError(t, sleep.Start())
	defer func() {
		require.NoError(t, sleep.Process.Kill())
		_ = sleep.Wait() // killed
	}()
	ours, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	theirs := func() string {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", sleep.Process.Pid))
		return link
	}
	require.Eventually(t, func() bool { return theirs() != ours }, time.Minute, time.Millisecond)
	for range 300 {
		require.NoError(t, visit(sleep.Process.Pid, func() {}))
	}
	first, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", os.Getpid()))
	require.NoError(t, err)
	require.Equal(t, ours, first, "the first thread")
}
