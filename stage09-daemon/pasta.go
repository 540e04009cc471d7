// A network for users who may change nothing of the host: a program of the user's own reads and
// writes the packets of a device inside (tap), and speaks to the world with ordinary sockets.
// There are two such programs, pasta(1) and slirp4netns(1), which the package usernet knows. Box
// starts one of them for a container, and it ends when box does (PR_SET_PDEATHSIG).

package main

import (
	"errors"
	"fmt"
	"os"
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
type userStack struct{ *usernet.Stack }

// findUserStack looks for a program that can publish the ports too.
func findUserStack(ports []portmap.Mapping) (*userStack, error) {
	routes, err := hostRoutes()
	stack, errFind := usernet.Find(ports, slices.ContainsFunc(routes, rtnl.Route.LeadsOut))
	return &userStack{stack}, errors.Join(err, errFind)
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
		if err := s.Start(pid, os.NewFile(uintptr(pipe[1]), "ready")); err != nil {
			c.Reject(err)
		}
	})
	buffer := plan.Ptr(unsafe.Pointer(new([1]byte)), `"…"`)
	wait := h.Add("read", unix.SYS_READ, read.Arg(), buffer, 1).
		Expect(1).Why("wait until it serves")
	wait.Then(func() {
		if wait.Ret == 0 {
			wait.Reject(s.Fail())
		}
	})
	h.Close(read.Arg())
}
