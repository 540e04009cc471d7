// The command line of box exec; exec.go has what it does.

package main

import "stagebox/stage01-namespaces/plan"

// Entry is a command for a container that runs already.
type Entry struct {
	PID int `arg:"" name:"pid" help:"A process in the container, by its PID on the host (see box lsns)."`

	Command Argv `arg:"" name:"command" help:"The command and its arguments." passthrough:"partial"`
	plan.Narration
}
