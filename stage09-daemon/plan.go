// A container is a list of system calls, a Plan. The package plan keeps the list, makes the
// process and replays the list in it; each system call is added by a method of Plan of the same
// name, in the file of the topic it serves.

package main

import (
	"io"
	"os"

	"stagebox/stage01-namespaces/plan"
)

// Plan is the life of a process between clone3 and execve, or a list that the host performs.
type Plan struct {
	*plan.Plan
	before *Plan // what the host does before it makes the process

	console *console

	stdio   [3]int              // what becomes the process's standard files; 0 leaves one as it is
	output  *os.File            // where what its terminal shows goes, if not to standard output
	started func(pid int) error // called when it has become its program
	opened  func(*os.File)      // called with the master of its terminal

	// passInput, if set, passes on what is typed, and restores the terminal if the caller leaves.
	passInput func(to io.Writer, restore func())
}

// newPlan is an empty plan for a process.
func newPlan() *Plan {
	process, host := plan.New()
	p := &Plan{Plan: process, before: &Plan{Plan: host}}
	p.output, p.started = os.Stdout, func(int) error { return nil }
	p.opened = func(*os.File) {}
	return p
}

// hostPlan is an empty list for the host.
func hostPlan() *Plan { return &Plan{Plan: &plan.Plan{}} }

// WhileHeld adds to what the host does while the process waits for it. do gets the pid as
// text, because it also serves a list that is printed and never performed.
func (p *Plan) WhileHeld(do func(h *Plan, pid string)) {
	p.Plan.WhileHeld(func(h *plan.Plan, pid string) { do(&Plan{Plan: h}, pid) })
}
