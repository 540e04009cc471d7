// Package batch does something with each of several names, as docker rm a b c does: an error with
// one does not keep a command from the others. No lesson reads it.
package batch

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"stagebox/stage01-namespaces/plan"
)

// skipped is what Skip returns.
type skipped struct{ error }

// Skip says why there is nothing to do for a name: it is printed, and is no failure of the command.
func Skip(why error) error { return skipped{why} }

// Each does something with every name. The error with a single one is returned as it is; with
// several, each error is printed when its turn comes, and the result is the exit status 1.
func Each(names []string, do func(name string) error) (failed error) {
	for _, name := range names {
		err := do(name)
		skip := errors.As(err, new(skipped))
		if err != nil && !skip && len(names) == 1 {
			return err
		}
		if err != nil && !errors.As(err, new(plan.ExitStatus)) {
			fmt.Fprintln(os.Stderr, "box:", err)
		}
		if err != nil && !skip {
			failed = plan.ExitStatus(1)
		}
	}
	return failed
}

// Print is Each, and prints on standard output the names that it has succeeded with.
func Print(names []string, do func(name string) error) error {
	return Each(names, func(name string) error {
		err := do(name)
		if err == nil {
			_, err = fmt.Println(name)
		}
		return err
	})
}

// Spread calls do with every number below n, on all processors.
func Spread(n int, do func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// SideBySide is Print with all names at once. The output is in their order.
func SideBySide(names []string, do func(name string) error) error {
	done := make([]chan error, len(names))
	for i, name := range names {
		end := make(chan error, 1)
		done[i] = end
		go func() { end <- do(name) }()
	}
	return Print(names, func(string) error {
		end := done[0]
		done = done[1:]
		return <-end
	})
}

// Confirm prints a warning, asks whether to go on, and reports whether the answer is yes.
func Confirm(warning string) bool {
	fmt.Print(warning + "\nAre you sure you want to continue? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}
