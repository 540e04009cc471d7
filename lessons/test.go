package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/unsteady"
)

// gotestsum runs go test, shows each test as it ends, and runs again what has failed.
const gotestsum = "gotest.tools/gotestsum@v1.13.0"

// longest are the packages whose tests take longest, most of it in waiting for one thing after the
// other. They begin first, beside those that work, so that in the end nothing else waits for them.
var longest = []string{"./stage09-daemon", "./stage08-network", "./lessons/internal/vm", "./lessons/internal/play"}

// testCmd runs the tests of the repository.
type testCmd struct {
	Packages []string `arg:"" optional:"" help:"Packages to test, such as ./stage03-rootfs (default: all)."`
	Short    bool     `help:"Run the quick tests and a sample of the others, which takes a minute or two."`
	Tests    string   `name:"run" help:"Run only tests whose names match this regular expression, as with go test." placeholder:"REGEXP"`
	Verbose  bool     `short:"v" help:"Show everything that the tests print."`
	Events   string   `help:"Also write the events of go test -json to a file." placeholder:"FILE"`
}

// Run is `lessons test`.
func (c *testCmd) Run() error { return c.test(nil) }

// soakCmd runs the tests in their long form.
type soakCmd struct {
	testCmd
}

// Run is `lessons soak`.
func (c *soakCmd) Run() error { return c.test([]string{"STAGEBOX_LONG=1"}) }

// test runs the tests under gotestsum, and lists the unsteady ones.
func (c *testCmd) test(env []string) error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	events := c.Events
	if events == "" {
		dir, err := os.MkdirTemp("", "stagebox-test")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		events = filepath.Join(dir, "events.json")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	if c.Short {
		env = append(env, seed())
	}
	ended, err := boxtest.Keep(boxtest.Program{
		Path: tool,
		Args: append([]string{"go"}, c.args(events)...),
		// One set of build flags: what the tests import is what the boxes are made of. Without
		// symbols and tables for a debugger (-s), a link takes half the time.
		Env:      append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+os.Getenv("GOFLAGS")+" -ldflags=-s"), env...),
		Patience: time.Minute,
		Gentle:   true,
	})
	if err != nil {
		return err
	}
	if err := showUnsteady(events); err != nil && !ended.Interrupted {
		return err
	}
	if ended.Status != 0 {
		return exitError(ended.Status)
	}
	return failedPackages(events)
}

// failedPackages is an error when a package failed and none of its tests did: gotestsum runs
// such a package again without a test, and is content when that passes.
func failedPackages(events string) error {
	file, err := os.Open(events)
	if err != nil {
		return err
	}
	defer file.Close()
	names, err := unsteady.Packages(file)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("failed, though none of its tests did: %s", strings.Join(names, " "))
	}
	return err
}

// args are go's: those of go run, of gotestsum, and of go test. A test that fails is run
// again, alone, once: when that fails too, the run has failed.
func (c *testCmd) args(events string) []string {
	packages := c.Packages
	if len(packages) == 0 {
		packages = append(slices.Clone(longest), "./...")
	}
	format := "testname"
	if c.Verbose {
		format = "standard-verbose"
	}
	args := []string{"run", gotestsum, "--format", format, "--jsonfile", events, "--rerun-fails=1", "--packages", strings.Join(packages, " "),
		"--", "-timeout", "60m",
		"-vet", "off", // go vet is .ci/run's, once
		"-p", strconv.Itoa(runtime.NumCPU() + 1)} // one more than by default: some wait
	if c.Short {
		// Of a package that has passed and not changed go's cache has the result, unless its tests
		// have chosen by the seed or made files: both are in other variables each time. To link the
		// others again would take longer than all that is left out.
		args = append(args, "-short")
	} else {
		args = append(args, "-count", "1") // no result is taken from go's cache: it knows nothing of the host
	}
	if c.Tests != "" {
		args = append(args, "-run", c.Tests)
	}
	return args
}

// seed prints the setting by which all tests of a short run choose what they do. A test that fails
// is run again with the same one, or it might be left out then, and pass.
func seed() string {
	n := os.Getenv(boxtest.Seed)
	if n == "" {
		n = fmt.Sprint(rand.Uint64())
	}
	fmt.Printf("%s=%s chooses the same tests again\n", boxtest.Seed, n)
	return boxtest.Seed + "=" + n
}

// showUnsteady prints the tests that failed and then passed.
func showUnsteady(events string) error {
	file, err := os.Open(events)
	if errors.Is(err, os.ErrNotExist) {
		return nil // gotestsum has said why there are none
	}
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := unsteady.Find(file)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		fmt.Printf("\n=== Unsteady (%d): failed, and passed when run again, alone\n", len(found))
	}
	for _, test := range found {
		fmt.Println(test)
	}
	return nil
}
