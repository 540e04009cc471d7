// The command line of box exec; exec.go has what it does.

package main

import (
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
)

// Entry is a command for a container that runs already.
type Entry struct {
	PID target `arg:"" name:"container" help:"A container, by name, id or a PID of one of its processes (see box ps, box lsns)."`

	Command Argv `arg:"" name:"command" help:"The command and its arguments." passthrough:"partial"`
	plan.Narration

	ExecOptions

	Terminal

	Store Store `embed:""`

	attach.LeaveOptions

	Detach  bool `short:"d" help:"Run the command in the background; its output is discarded."`
	Monitor bool `hidden:"" help:"Internal: the process that stays with the command."`
}

// detach runs the command in the background.
func (e *Entry) detach() error {
	monitor := exec.Command("/proc/self/exe", append([]string{"exec", "--monitor"}, os.Args[2:]...)...)
	monitor.ExtraFiles = []*os.File{os.Stderr}
	return attach.StartMonitor(monitor)
}

// monitor takes the files that detach has passed on: where errors go, until the command runs, and
// what reports that.
func (e *Entry) monitor(p *Plan) {
	report := os.NewFile(4, "ready")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	p.started = func(int) error {
		_, err := report.WriteString("!")
		return errors.Join(err, report.Close(), os.Stderr.Close())
	}
}
