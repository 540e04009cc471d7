// Package usernet knows the programs that are a network for users who may change nothing of the
// host: pasta(1) and slirp4netns(1). Such a program reads and writes the packets of a tap device
// in a network namespace, and reaches the world with ordinary sockets. The package finds one
// that is installed, composes its command line, and starts and ends it.
package usernet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/portmap"
)

// Stack is a program that is installed, and the ports that it publishes.
type Stack struct {
	Path  string
	pasta bool // or else slirp4netns
	ports []portmap.Mapping

	cmd    *exec.Cmd // while it runs
	stderr strings.Builder
}

// Find looks for a program that can publish the ports, pasta before slirp4netns. Ports that only
// root may take are an error, and so is a host without a route to the world, hasRoute, from
// which neither program leads anywhere.
func Find(ports []portmap.Mapping, hasRoute bool) (*Stack, error) {
	for _, m := range ports {
		if err := checkUnprivileged(m); err != nil {
			return nil, err
		}
	}
	if !hasRoute {
		return nil, errors.New("this host has no default route, which pasta and slirp4netns need: add one, or use --network none")
	}
	if path, err := exec.LookPath("pasta"); err == nil {
		return &Stack{Path: path, pasta: true, ports: ports}, nil
	}
	path, err := exec.LookPath("slirp4netns")
	if err != nil {
		return nil, errors.New("an ordinary user's container has a network through pasta or" +
			" slirp4netns, and neither is installed: install the package passt or slirp4netns," +
			" or use --network none")
	}
	if len(ports) > 0 {
		return nil, errors.New("--publish: slirp4netns is installed, which box lets publish" +
			" nothing: install pasta too, from the package passt")
	}
	return &Stack{Path: path}, nil
}

// checkUnprivileged refuses the ports that are for root, and those without a number.
func checkUnprivileged(m portmap.Mapping) error {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return err
	}
	start, err := strconv.Atoi(strings.TrimSpace(string(data)))
	switch {
	case err != nil:
		return fmt.Errorf("ip_unprivileged_port_start: %w", err)
	case m.Host == 0:
		return fmt.Errorf("--publish %d: an ordinary user names the host's port too:"+
			" -p 8080:%[1]d, for example", m.Container)
	case int(m.Host) < start && os.Geteuid() != 0:
		return fmt.Errorf("port %d needs root: ports of ordinary users start at %d",
			m.Host, start)
	}
	return nil
}

// Command is the command line for the namespaces of a process. The program writes to the
// descriptor ready when it serves.
func (s *Stack) Command(pid string, ready int) []string {
	if !s.pasta {
		return []string{s.Path, "--configure", "--mtu=65520", "--disable-host-loopback",
			"--enable-ipv6", "--userns-path=/proc/" + pid + "/ns/user",
			"--ready-fd=" + strconv.Itoa(ready), pid, "eth0"}
	}
	argv := []string{s.Path, "--foreground", "--quiet", "--config-net", "--no-map-gw",
		"--dns-forward", pastaDNS.String(), "--pid", "/proc/self/fd/" + strconv.Itoa(ready),
		"--ns-ifname", "eth0", "-T", "none", "-U", "none"}
	for _, proto := range []string{"tcp", "udp"} {
		argv = append(argv, s.publish(proto)...)
	}
	return append(argv, pid)
}

// publish returns pasta's flags for the ports of a protocol: -t, or -u, for each, or none.
func (s *Stack) publish(proto string) (argv []string) {
	for _, m := range s.ports {
		on := ""
		if m.IP.IsValid() {
			on = m.IP.String() + "/"
		}
		if m.Protocol == proto {
			argv = append(argv, "-"+proto[:1], fmt.Sprintf("%s%d:%d", on, m.Host, m.Container))
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

// DNS is the address at which the container finds a resolver.
func (s *Stack) DNS() netip.Addr {
	if s.pasta {
		return pastaDNS
	}
	return slirpDNS
}

// Start starts the program for the namespaces of a process; it writes to ready when it serves. The
// caller's thread has to stay: it is the program's parent, with which it dies.
func (s *Stack) Start(pid string, ready *os.File) error {
	argv := s.Command(pid, 3)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.ExtraFiles = []*os.File{ready}
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	return errors.Join(s.cmd.Start(), ready.Close())
}

// Fail waits for a program that has ended too early, and returns what it said.
func (s *Stack) Fail() error {
	err := s.cmd.Wait()
	s.cmd = nil
	return fmt.Errorf("%s: %v: %s", s.Path, err, strings.TrimSpace(s.stderr.String()))
}

// Stop ends the program, if it runs.
func (s *Stack) Stop() error {
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
