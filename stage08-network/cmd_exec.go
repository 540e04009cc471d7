// The command line of box exec; exec.go has what it does.
package main

import "stagebox/stage01-namespaces/plan"

// Entry is a command for a container that runs already.
type Entry struct {
	PID target `arg:"" name:"container" help:"A container, or the number of a process in one (see box ps, box lsns)."`

	Command Argv `arg:"" name:"command" help:"The command and its arguments." passthrough:"partial"`
	plan.Narration

	ExecOptions

	Terminal

	Store
}
