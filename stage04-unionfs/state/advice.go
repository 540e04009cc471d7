package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// another says how the store is put elsewhere.
const another = "another place for it is given by --root DIR or BOX_ROOT"

// Unusable is the error of a store in which nothing can be made or locked.
func Unusable(err error) error { return fmt.Errorf("the store: %w; %s", err, another) }

// Advice is a line on what to do when a disk is full, else nothing. A step of a plan has advice of
// its own: there ENOSPC is a limit of the kernel's. Standard output is not in the store.
func Advice(err error) string {
	var at *fs.PathError
	isOutput := errors.As(err, &at) && at.Path == os.Stdout.Name()
	if !errors.Is(err, unix.ENOSPC) || errors.As(err, new(plan.StepError)) || isOutput {
		return ""
	}
	return "     box rm, box rmi and, where there is a build cache, box builder prune make room in the store; " +
		another + "\n"
}
