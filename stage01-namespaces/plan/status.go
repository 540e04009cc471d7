package plan

import (
	"errors"

	"golang.org/x/sys/unix"
)

// StatusOf is Docker's exit status for the end of a command, "run", "exec" or another: the program's
// own; 127 for a program that does not exist, 126 for one that cannot be run, 125 when run has failed
// before that, and 1 when another command has failed.
func StatusOf(command string, err error) int {
	var ended ExitStatus
	var step StepError
	inPlan := errors.As(err, &step)
	atExecve := inPlan && step.AtExecve() && step.Errno != unix.E2BIG
	switch {
	case err == nil || errors.As(err, &ended):
		return int(ended)
	case command != "run" && command != "exec":
		return 1
	case atExecve && (step.Errno == unix.ENOENT || step.Errno == unix.ENOTDIR):
		return 127
	case atExecve || inPlan && command == "exec":
		return 126
	case command == "exec":
		return 1
	}
	return 125
}
