// A network for users who may change nothing of the host: a program of the user's own reads and
// writes the packets of a device inside (tap), and speaks to the world with ordinary sockets.
// There are two such programs, pasta(1) and slirp4netns(1), which the package usernet knows. Box
// starts one of them for a container, and it ends when box does (PR_SET_PDEATHSIG).

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/rtnl"
	"stagebox/stage08-network/usernet"
)

// userStack is a program that runs as a container's network.
type userStack struct {
	*usernet.Stack
	cmd    *exec.Cmd
	stderr strings.Builder
}

// findUserStack looks for a program that can publish the ports too.
func findUserStack(ports []portmap.Mapping) (*userStack, error) {
	routes, err := hostRoutes()
	stack, errFind := usernet.Find(ports, slices.ContainsFunc(routes, rtnl.Route.LeadsOut))
	return &userStack{Stack: stack}, errors.Join(err, errFind)
}

// plan starts the program while the process is held, and waits until it serves.
func (s *userStack) plan(h *Plan, pid string) {
	pipe := new([2]int32)
	read := plan.Pending("READY")
	c := h.Add("pipe2", unix.SYS_PIPE2, plan.Ptr(unsafe.Pointer(pipe), "[READY, …]"),
		plan.Sym(unix.O_CLOEXEC, "O_CLOEXEC")).
		Why("a network by " + strings.Join(s.Command(pid, 3), " "))
	c.Then(func() {
		read.Set(uintptr(pipe[0]))
		c.SetText(0, fmt.Sprintf("[%d, %d]", pipe[0], pipe[1]))
		if err := s.start(pid, os.NewFile(uintptr(pipe[1]), "ready")); err != nil {
			c.Reject(err)
		}
	})
	buffer := plan.Ptr(unsafe.Pointer(new([1]byte)), `"…"`)
	wait := h.Add("read", unix.SYS_READ, read.Arg(), buffer, 1).
		Expect(1).Why("wait until it serves")
	wait.Then(func() {
		if wait.Ret == 0 {
			wait.Reject(errors.New(s.fail()))
		}
	})
	h.Close(read.Arg())
}

// start must be called by the thread that stays: it is the program's parent, with which it dies.
func (s *userStack) start(pid string, ready *os.File) error {
	argv := s.Command(pid, 3)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.ExtraFiles = []*os.File{ready}
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	return errors.Join(s.cmd.Start(), ready.Close())
}

// fail waits for a program that has ended too early, and returns what it said.
func (s *userStack) fail() string {
	err := s.cmd.Wait()
	s.cmd = nil
	return fmt.Sprintf("%s: %v: %s", s.Path, err, strings.TrimSpace(s.stderr.String()))
}

// stop ends the program.
func (s *userStack) stop() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); !errors.As(err, &exit) { // it was killed
		return err
	}
	return nil
}
