// Hooks of an OCI bundle: programs that engines have run at six points of a container's life
// (config.md, "POSIX-platform Hooks"). Most run on the host. Those of createContainer are the host's
// programs in the container's namespaces, and those of startContainer are the container's own.

package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/runtimespec"
	"stagebox/stage05-images/runtimestate"
)

// runHooks runs the hooks of a kind. The first that fails ends the container.
func (c *runtimeContainer) runHooks(kind string) error {
	for _, hook := range runtimespec.Hooks(c.Hooks, kind) {
		if err := c.runHook(kind, hook, strconv.Itoa(c.state.Pid)); err != nil {
			unix.Kill(c.state.Pid, unix.SIGKILL)
			return err
		}
	}
	return nil
}

// runPoststop runs the last hooks, after which nothing is left to be ended: a failure is a warning.
func (c *runtimeContainer) runPoststop() {
	for _, hook := range c.Hooks.Poststop {
		if err := c.runHook("poststop", hook, strconv.Itoa(c.state.Pid)); err != nil {
			c.Warn(err.Error())
		}
	}
}

// runHook runs a hook, with the state on its standard input: those of the container in its
// namespaces, the others here.
func (c *runtimeContainer) runHook(kind string, hook specs.Hook, pid string) error {
	number, _ := strconv.Atoi(pid)
	shown := specs.State{ID: c.id, Bundle: c.dir, Annotations: c.Annotations, Pid: number}
	input, err := runtimestate.Input(kind, shown)
	if err != nil {
		return err
	}
	defer input.Close()
	switch kind {
	case "createContainer":
		err = hookInside(hook, number, input)
	case "startContainer":
		err = c.hookAsProcess(hook, number, input)
	default:
		err = runtimestate.RunHook(hook, c.dir, input)
	}
	if err != nil { // an exit status of a hook is none of the container
		return fmt.Errorf("hook %s %s: %v", kind, hook.Path, err)
	}
	return nil
}

// hookAsProcess runs a hook that is a program of the container's, with no more rights than the
// container's own process.
func (c *runtimeContainer) hookAsProcess(hook specs.Hook, pid int, input *os.File) error {
	once := &bundle{Spec: c.Spec, dir: c.dir, id: c.id, warn: c.warn, input: input}
	p, err := once.join(pid, runtimespec.HookProcess(c.Spec, hook))
	if err != nil {
		return err
	}
	return runtimestate.RunPlan(p.Plan, hook.Timeout)
}

// hookInside runs a hook, a program of the host's, in the namespaces of a process.
func hookInside(hook specs.Hook, pid int, input *os.File) error {
	flags, err := foreign(pid)
	if err != nil {
		return err
	}
	p := newPlan()
	p.DetachTerminal()
	pidfd := p.before.PidfdOpen(pid).Result()
	p.Setns(pidfd, flags)
	p.Fork(unix.CLONE_PARENT)
	p.Handshake()
	p.Dup3(plan.Num(int(input.Fd())), 0, false)
	p.CloseFrom(3)
	p.Become(p.Str(hook.Path), hook.Args, hook.Env)
	return runtimestate.RunPlan(p.Plan, hook.Timeout)
}
