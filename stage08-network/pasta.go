// A network for users who may change nothing of the host: a program of the user's own
// reads and writes the packets of a device inside (tap), and speaks to the world with
// ordinary sockets. There are two such programs, pasta(1) and slirp4netns(1); box starts
// one of them for a container, and it ends when box does (PR_SET_PDEATHSIG).
package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// userStack is the program that is a container's network.
type userStack struct {
	path  string
	pasta bool
	ports []portMap
	cmd   *exec.Cmd
	said  strings.Builder
}

// findUserStack looks for a program that can publish the ports too.
func findUserStack(ports []portMap) (*userStack, error) {
	for _, m := range ports {
		if err := checkUnprivileged(m); err != nil {
			return nil, err
		}
	}
	if routes, err := hostRoutes(); err != nil || !slices.ContainsFunc(routes, leadsOut) {
		return nil, errors.Join(err, errors.New("this host has no route to the world, and without one"+
			" pasta and slirp4netns lead nowhere: add one, or use --network none"))
	}
	if path, err := exec.LookPath("pasta"); err == nil {
		return &userStack{path: path, pasta: true, ports: ports}, nil
	}
	if path, err := exec.LookPath("slirp4netns"); err == nil {
		if len(ports) > 0 {
			return nil, errors.New("--publish: slirp4netns is installed, which box lets publish nothing:" +
				" install pasta too, from the package passt")
		}
		return &userStack{path: path, ports: ports}, nil
	}
	return nil, errors.New("an ordinary user's container has a network through pasta or slirp4netns," +
		" and neither is installed: install the package passt or slirp4netns, or use --network none")
}

// leadsOut reports whether a route leads everywhere. One on loopback means unreachable.
func leadsOut(r routeInfo) bool { return r.to.Bits() == 0 && r.link > 1 }

// checkUnprivileged refuses the ports that are for root.
func checkUnprivileged(m portMap) error {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return err
	}
	start, err := strconv.Atoi(strings.TrimSpace(string(data)))
	switch {
	case err != nil:
		return fmt.Errorf("ip_unprivileged_port_start: %w", err)
	case m.host == 0:
		return fmt.Errorf("--publish %d: an ordinary user names the host's port too: -p 8080:%[1]d,"+
			" for example", m.container)
	case int(m.host) < start && os.Geteuid() != 0:
		return fmt.Errorf("port %d is for root alone: an ordinary user's start at %d", m.host, start)
	}
	return nil
}

// argv is the command for the namespaces of a process; it writes to ready when it serves.
func (s *userStack) argv(pid string, ready int) []string {
	if !s.pasta {
		return []string{s.path, "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-ipv6",
			"--userns-path=/proc/" + pid + "/ns/user", "--ready-fd=" + strconv.Itoa(ready), pid, "eth0"}
	}
	argv := []string{s.path, "--foreground", "--quiet", "--config-net", "--no-map-gw",
		"--dns-forward", pastaDNS.String(), "--pid", "/proc/self/fd/" + strconv.Itoa(ready),
		"--ns-ifname", "eth0", "-T", "none", "-U", "none"}
	for _, proto := range []string{"tcp", "udp"} {
		argv = append(argv, s.publish(proto)...)
	}
	return append(argv, pid)
}

// publish are pasta's flags for the ports of a protocol: -t, or -u, for each, or none.
func (s *userStack) publish(proto string) (argv []string) {
	for _, m := range s.ports {
		on := ""
		if m.ip.IsValid() {
			on = m.ip.String() + "/"
		}
		if m.proto == proto {
			argv = append(argv, "-"+proto[:1], fmt.Sprintf("%s%d:%d", on, m.host, m.container))
		}
	}
	if argv == nil {
		return []string{"-" + proto[:1], "none"}
	}
	return argv
}

// pastaDNS and slirpDNS are addresses for which these programs ask the host's resolver.
var (
	pastaDNS = netip.AddrFrom4([4]byte{169, 254, 0, 53})
	slirpDNS = netip.AddrFrom4([4]byte{10, 0, 2, 3})
)

func (s *userStack) dns() netip.Addr {
	if s.pasta {
		return pastaDNS
	}
	return slirpDNS
}

// plan starts the program while the process is held, and waits until it serves.
func (s *userStack) plan(h *Plan, pid string) {
	pipe := new([2]int32)
	read := plan.Pending("READY")
	c := h.Add("pipe2", unix.SYS_PIPE2, plan.Ptr(unsafe.Pointer(pipe), "[READY, …]"), plan.Sym(unix.O_CLOEXEC, "O_CLOEXEC")).
		Why("a network by " + strings.Join(s.argv(pid, 3), " "))
	c.Then(func() {
		read.Set(uintptr(pipe[0]))
		c.SetText(0, fmt.Sprintf("[%d, %d]", pipe[0], pipe[1]))
		if err := s.start(pid, os.NewFile(uintptr(pipe[1]), "ready")); err != nil {
			c.Reject(err.Error())
		}
	})
	wait := h.Add("read", unix.SYS_READ, read.Arg(), plan.Ptr(unsafe.Pointer(new([1]byte)), `"…"`), 1).
		Expect(1).Why("wait until it serves")
	wait.Then(func() {
		if wait.Ret == 0 {
			wait.Reject(s.fail())
		}
	})
	h.Close(read.Arg())
}

// start must be called by the thread that stays: it is the program's parent, with which it dies.
func (s *userStack) start(pid string, ready *os.File) error {
	argv := s.argv(pid, 3)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.ExtraFiles = []*os.File{ready}
	s.cmd.Stderr = &s.said
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	return errors.Join(s.cmd.Start(), ready.Close())
}

// fail is what the program had to say when it ended instead.
func (s *userStack) fail() string {
	err := s.cmd.Wait()
	s.cmd = nil
	return fmt.Sprintf("%s: %v: %s", s.path, err, strings.TrimSpace(s.said.String()))
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
