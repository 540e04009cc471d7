// A container from beginning to end. Run composes the list of system calls, topic by
// topic; live makes the process that replays it, and stays with it until its end.

package main

import (
	"os"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// Container is a command to run and what it is to see.
type Container struct {
	Command Argv `arg:"" name:"image" help:"The image, then the command." passthrough:"partial"`

	Isolation

	plan.Narration `json:"-"`

	Limits

	CgroupOptions

	Files

	ProcessOptions

	Security

	Terminal

	Layers

	JoinOptions

	StoreOptions

	Store Store `json:"-" embed:""`

	ImageOptions

	HealthOptions
}

// Run is `box run`.
func (c *Container) Run() (err error) {
	p := newPlan()

	record, err := begin(c, p)
	if err != nil || record.runsInMonitor() {
		return err
	}
	defer func() { err = record.end(err) }()

	who, err := identify(c)
	if err != nil {
		return err
	}

	group, err := cgroup(c, p)
	if err != nil {
		return err
	}
	defer group.end()
	record.limitedBy(group)

	if err := stdio(c, p); err != nil {
		return err
	}

	if err := namespaces(c, p); err != nil {
		return err
	}

	if err := root(c, p, group, who); err != nil {
		return err
	}

	if err := security(c, p, who); err != nil {
		return err
	}

	command(c, p, who)

	stop, err := c.watchHealth(p)
	if err != nil {
		return err
	}
	defer stop()

	return p.live(&c.Narration)
}

// command decides what the container becomes.
func command(c *Container, p *Plan, who *identity) {
	if c.Init {
		p.Init(c.Command.argv())
	}
	c.session(p)
	c.record.input(c, p)
	p.Execve(c.Command.argv(), who.env, plan.PathIn(who.env))
}

// Argv is a command line. Nothing after its first word is for box.
type Argv []string

// argv leaves out a "--" before the first word.
func (a Argv) argv() []string {
	if len(a) > 1 && a[0] == "--" {
		return a[1:]
	}
	return a
}

// environment is a container's default environment, as in Docker: nothing of the caller's own
// but the kind of its terminal.
func environment(hostname string) []string {
	env := []string{"PATH=" + plan.DefaultPath, "HOSTNAME=" + hostname, "HOME=/root"}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		env = append(env, "TERM="+os.Getenv("TERM"))
	}
	return env
}

// live makes the process of a plan and returns how it ended, as a plan.ExitStatus.
func (p *Plan) live(n *plan.Narration) error {
	if n.DryRun {
		return n.List(p.Plan)
	}
	defer p.RestoreTerminal()
	process, err := n.Start(p.Plan)
	if err != nil {
		return err
	}
	if err := p.started(process.PID); err != nil {
		return err
	}
	end, err := p.console.serve()
	if err != nil {
		return err
	}
	defer end()
	return process.Wait()
}
