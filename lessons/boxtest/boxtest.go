// Package boxtest runs the tests of a package so that nothing of them is left, however the
// run ends: by itself, by Ctrl-C, by SIGTERM or because its terminal is gone.
//
// Main starts the test binary a second time. That second process runs the tests, with a
// TMPDIR of its own; the first one is the keeper (keeper.go), which waits for the tests and
// then ends and removes what they have left.
package boxtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// dirVariable holds the directory of a run, in the process that runs the tests and in
// those that it starts.
const dirVariable = "STAGEBOX_TEST_DIR"

// Main is the body of a package's TestMain; it does not return. prepare may be nil; it is
// called once before the tests, with a directory that every user can enter and that is
// removed at the end, with everything else in TMPDIR.
func Main(m *testing.M, prepare func(dir string) error) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		// A box that starts itself again, in a user namespace for one, is a test binary here: it would run
		// all tests once more, and they would start it again.
		fmt.Fprintf(os.Stderr, "boxtest: a test binary is no box, and cannot run %q\n", os.Args[1:])
		os.Exit(2)
	}
	if dir := os.Getenv(dirVariable); dir != "" {
		os.Exit(runTests(m, dir, prepare))
	}
	useMemory()
	ended, err := Keep(Program{Path: "/proc/self/exe", Args: os.Args, Variable: dirVariable, Patience: leaveTime})
	if err == nil && ended.Left != "" {
		err = fmt.Errorf("the tests have left processes behind, which were killed:\n%s", ended.Left)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "boxtest:", err)
		ended.Status = max(ended.Status, 1)
	}
	os.Exit(ended.Status)
}

// useMemory has the workbench's tests make their files below $STAGEBOX_MEMORY, if that is set: a tmpfs.
// They wait for the disk for much of their time, and test nothing about it. The stages' own do.
func useMemory() {
	dir, err := os.Getwd() // go test's: the package's
	if memory := os.Getenv("STAGEBOX_MEMORY"); err == nil && memory != "" && strings.Contains(dir, "/lessons/") {
		os.Setenv("TMPDIR", memory)
	}
}

// leaveTime is how long the processes that tests have started may take to end by themselves
// once the tests have ended. It is a limit for what hangs, and long for what is slow.
var leaveTime = time.Minute

// runTests is what the second process does. A test binary that a test starts in its turn
// has the variable too: it prepares a directory below the first one's.
func runTests(m *testing.M, dir string, prepare func(dir string) error) int {
	if prepare == nil {
		return m.Run()
	}
	dir, err := os.MkdirTemp(dir, "made-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "before the tests:", err)
		return 1
	}
	return m.Run()
}
