// Package batch does something with each of several names, as docker rm a b c does: an error with
// one does not keep a command from the others. No lesson reads it.
package batch

import (
	"errors"
	"fmt"
	"os"
)

// errSkipped is what Skip returns.
var errSkipped = errors.New("nothing to do")

// Skip prints why there is nothing to do for a name. The error returned is not a failure of the command,
// and the name is not printed as one that was dealt with.
func Skip(why error) error {
	fmt.Fprintln(os.Stderr, "box:", why)
	return errSkipped
}

// Each does something with every name, and returns all errors: a single one as it is.
func Each(names []string, do func(name string) error) error {
	var all []error
	for _, name := range names {
		if err := do(name); err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// Print is Each, and prints on standard output the names that it has succeeded with.
func Print(names []string, do func(name string) error) error {
	return Each(names, func(name string) error {
		err := do(name)
		switch {
		case errors.Is(err, errSkipped):
			return nil
		case err == nil:
			_, err = fmt.Println(name)
		}
		return err
	})
}

// SideBySide is Print with all names at once. What it prints is in their order.
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
