package behave

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The rows about the network. Each is held in a network namespace made for it, which is the
// host's for the binary: nothing of this machine's own network is seen or changed.

func init() { table = append(table, networkRows...) }

var networkRows = []Row{{
	Name: "--network bridge: the world is reached, and sees the host's address", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		return printed("outside sees 198.18.0.1", n.script(get("198.18.0.2", 80), "--network", "bridge"))
	}),
	Broken: drop("--network | bridge"),
}, {
	Name: "a container of an image has a bridge without being asked, one of a directory has loopback alone", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		links := "cd /sys/class/net; echo *"
		return all(printed("eth0 lo", n.Run("run", "--rm", "tiny", "sh", "-c", links)), printed("lo", n.script(links)))
	}),
	Broken: `[ "$1 $2" = "run --rm" ] && { shift; set -- run --network none "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "-p: a published port is reached from outside, from the host, and from another container", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "-p", "8080:80"); err != nil {
			return failed(err)
		}
		parts := []Seen{same("web sees 198.18.0.2", n.heard(n.outside, "198.18.0.1:8080"))}
		for _, host := range []string{"127.0.0.1", "[::1]", "198.18.0.1"} {
			parts = append(parts, begins("web sees ", n.heard(0, host+":8080")))
		}
		e := n.script(get("198.18.0.1", 8080), "--network", "bridge")
		return all(append(parts, ended(strings.HasPrefix(e.Line(), "web sees "), "web sees …", e))...)
	}),
	Broken: drop("-p | 8080:80"),
}, {
	Name: "-p with an address is published there alone", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "-p", "127.0.0.1:8080:80"); err != nil {
			return failed(err)
		}
		return all(begins("web sees ", n.heard(0, "127.0.0.1:8080")), same("", n.heard(n.outside, "198.18.0.1:8080")))
	}),
	Broken: `for word; do shift; set -- "$@" "${word#127.0.0.1:}"; done
exec "$BOX" "$@"`,
}, {
	Name: "rename reaches the names on the network of a container that runs", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if e := n.Run("network", "create", "red"); e.Status != 0 {
			return status(0, e)
		}
		if _, err := n.server("web", "--network", "red", "--name", "web"); err != nil {
			return failed(err)
		}
		rename := n.Run("rename", "web", "moved")
		names := n.Run("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "red")
		found := n.script(get("moved", 80), "--network", "red")
		return all(status(0, rename), printed("moved", names), ended(found.Status == 0, "an answer by its new name", found),
			ended(n.script(get("web", 80), "--network", "red").Status != 0, "no answer by the old one", found))
	}),
	Broken: `[ "$1" = rename ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "containers of a network find each other by name, alias and host name", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if e := n.Run("network", "create", "red"); e.Status != 0 {
			return status(0, e)
		}
		if _, err := n.server("web", "--network", "red", "--name", "web", "--network-alias", "db", "--hostname", "db-1"); err != nil {
			return failed(err)
		}
		e := n.script(get("web", 80)+"; echo; "+get("db", 80)+"; echo; "+get("db-1", 80), "--network", "red")
		return ended(strings.Count(e.Stdout, "web sees ") == 3, "web sees …, three times", e)
	}),
	Broken: drop("--network-alias | db"),
}, {
	Name: "--network twice: a container on two networks is found and finds others on both; network connect and disconnect do it later", Since: 8, For: Root,
	Check:  inNetwork(onTwoNetworks),
	Broken: `[ "$1 $2" = "network connect" ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "/etc/hosts, the way out and published ports follow network connect and disconnect", Since: 8, For: Root,
	Check:  inNetwork(followsItsNetworks),
	Broken: `[ "$1 $2" = "network disconnect" ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "--mac-address, and mac-address of --network, are the addresses of the links", Since: 8, For: Root,
	Check:  inNetwork(hasItsMAC),
	Broken: drop("--mac-address | 02:42:0a:00:00:09"),
}, {
	Name: "build --add-host and --network are the network of RUN, and of its key in the cache", Since: 8, For: Root,
	Check:  inNetwork(buildsOnNetworks),
	Broken: drop("--add-host | wanted:192.0.2.1"),
}, {
	Name: "network connect takes a container that has IPv6 switched off, and leaves no cable behind when it fails", Since: 8, For: Root,
	Check:  inNetwork(connectsOrLeavesNothing),
	Broken: `[ "$1 $2" = "network connect" ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "networks are apart, and an internal one has no way out", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if e := n.Run("network", "create", "--internal", "inside"); e.Status != 0 {
			return status(0, e)
		}
		c, err := n.server("web", "--network", "inside")
		if err != nil {
			return failed(err)
		}
		other, err := n.server("other", "--network", "bridge")
		if err != nil {
			return failed(err)
		}
		address := addressOf(c) // the last line of its hosts: IPv6's, if there is one
		return all(same("", n.heard(c.PID, "198.18.0.2:80")),
			begins("web sees ", n.heard(c.PID, net.JoinHostPort(address, "80"))), same("", n.heard(other.PID, net.JoinHostPort(address, "80"))))
	}),
	Broken: drop("--internal"),
}, {
	Name: "--network container: shares another's network, --network host the host's", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "--name", "web"); err != nil {
			return failed(err)
		}
		return all(printed("web sees 127.0.0.1", n.script(get("127.0.0.1", 80), "--network", "container:web")),
			printed("outside sees 198.18.0.1", n.script(get("198.18.0.2", 80), "--network", "host")))
	}),
	Broken: `for word; do shift; case $word in container:*) word=bridge ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--network container: shares the other's host name, /etc/hosts and /etc/resolv.conf too", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "--name", "web", "--hostname", "web.example.org", "--domainname", "example.net", "--add-host", "far:192.0.2.1"); err != nil {
			return failed(err)
		}
		names := "hostname; echo $HOSTNAME; cat /proc/sys/kernel/domainname /etc/hostname /etc/hosts /etc/resolv.conf"
		web := n.Run("exec", "-e", "HOSTNAME=web.example.org", "web", "sh", "-c", names)
		return all(begins("web.example.org", web.Stdout), printed(web.Line(), n.script(names, "--network", "container:web")),
			status(0, n.script("echo '192.0.2.2 added' >>/etc/hosts", "--network", "container:web")), printed("192.0.2.2 added", n.Run("exec", "web", "tail", "-n1", "/etc/hosts")),
			printed("no", n.script("echo x 2>/dev/null >>/etc/hosts || echo no", "--network", "container:web", "--read-only")),
			refused(n.script("true", "--network", "container:web", "--hostname", "x")), refused(n.script("true", "--network", "container:web", "--domainname", "x")), refused(n.script("true", "--network", "container:web", "--add-host", "a:192.0.2.1")), refused(n.script("true", "--network", "container:web", "-P")))
	}),
	Broken: `for word; do shift; case $word in container:*) word=bridge ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--network none leaves the container out of /etc/hosts, --network host has the host's file and name", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		hosts, err := os.ReadFile("/etc/hosts")
		if err != nil {
			return failed(err)
		}
		host, err := os.Hostname()
		if err != nil {
			return failed(err)
		}
		none := n.script("cat /etc/hosts", "--network", "none", "--hostname", "lone")
		return all(holds(strings.HasSuffix(none.Stdout, "\tip6-allrouters\n"), "no line after ip6-allrouters", none.Stdout),
			printed(strings.TrimSpace(host+"\n"+string(hosts)), n.script("hostname; cat /etc/hosts", "--network", "host")))
	}),
	Broken: `for word; do shift; case $word in none|host) word=bridge ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--add-host takes NAME:IP, NAME=IP, brackets, and host-gateway also without a bridge", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		own := "192.0.2.1\ta\n2001:db8::1\tb\n2001:db8::2\tc\n10.201.0.1\td"
		var parts []Seen
		for _, network := range []string{"none", "host", "bridge"} {
			e := n.script("cat /etc/hosts", "--network", network, "--add-host", "a:192.0.2.1", "--add-host", "b=2001:db8::1", "--add-host", "c:[2001:db8::2]", "--add-host", "d:host-gateway")
			parts = append(parts, ended(strings.HasSuffix(e.Line(), own), own, e))
		}
		return all(parts...)
	}),
	Broken: `for word; do shift; case $word in a:*) word=a:192.0.2.9 ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--dns-search and --dns-option take the place of the host's; create refuses ports, servers and domains that are none", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		look := "grep -E '^(search|options)' /etc/resolv.conf"
		given := []string{"--rm", "--dns-search", "a.test", "--dns-search", "b.test", "--dns-option", "ndots:3", "--dns-option", "rotate"}
		seen := []Seen{printed("search a.test b.test\noptions ndots:3 rotate", n.script(look, append(given, "--network", "none")...)),
			printed("search a.test b.test\noptions ndots:3 rotate", n.script(look, append(given, "--network", "bridge")...))}
		root, err := n.root()
		if err != nil {
			return failed(err)
		}
		for _, flag := range []string{"--publish=aa80", "--publish=70000", "--dns=none-such", "--dns-search=a b", "--dns-option=", "--add-host=a", "--ip=none", "--network=name="} {
			seen = append(seen, refused(n.Run("create", flag, "--rootfs", root, "true")))
		}
		return all(append(seen, printed("", n.Run("ps", "-aq")))...)
	}),
	Broken: drop("a.test | --publish=*"),
}, {
	Name: "port prints a line a family, IPv4 first, and inspect has addresses and ports where Docker has them", Since: 8, For: Root,
	Check: inNetwork(inDockersShape),
	Broken: `[ "$1" = port ] && exec "$BOX" port web 80; [ "$1" = inspect ] && { echo; exit; }
exec "$BOX" "$@"`,
}, {
	Name: "what a killed binary has left is taken back by the next: address, port and cable", Since: 8, For: Root,
	Check: inNetwork(afterKill),
	Broken: `case "$*" in *8080*) ;; run*) shift; set -- run -p 8080:80 "$@" ;; esac
exec "$BOX" "$@"`,
}, {
	Name: "an ordinary user's container has a network of its own, and publishes a port", Since: 8, For: User,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := exec.LookPath("pasta"); err != nil {
			return Seen{Cannot: "pasta is not installed: package passt"}
		}
		if _, err := n.server("web", "-p", "8080:80"); err != nil {
			return failed(err)
		}
		return all(begins("web sees ", n.heard(0, "127.0.0.1:8080")), printed("outside sees 198.18.0.1", n.script(get("198.18.0.2", 80), "--network", "default")))
	}),
	Broken: drop("-p | 8080:80"),
}, {
	Name: "a network that cannot be is refused", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "-p", "8080:80"); err != nil {
			return failed(err)
		}
		var parts []Seen
		for _, flags := range []string{"-p 8080:90", "-p x", "-p 1:2:3:4", "-p 0:0", "-p 192.0.2.1:80:80", "-p 8081-8082:80", "--network nope", "--network a/b", "--network container:nope",
			"--network none -p 80:80", "--network host -p 80:80", "--network bridge --ip 10.0.0.1", "--network bridge --ip x", "--network bridge --dns x",
			"--network bridge --add-host x", "--network bridge --network-alias a/b", "--network bridge --share net"} {
			parts = append(parts, refused(n.inRoot(strings.Fields(flags), "true")))
		}
		for _, args := range []string{"create host", "create a/b", "create x --subnet 198.18.0.0/24", "create x --subnet 300.0.0.0/8", "create x --subnet 10.0.0.0/31", "rm nope", "rm bridge"} {
			parts = append(parts, refused(n.Run(append([]string{"network"}, strings.Fields(args)...)...)))
		}
		for _, flags := range []string{"--dns 192.0.2.1", "--add-host a:192.0.2.1"} { // the host's files are not changed
			parts = append(parts, refused(n.Run(append(append([]string{"run"}, strings.Fields(flags)...), "/bin/true")...)))
		}
		return all(parts...)
	}),
	Broken: one,
}}

// inDockersShape asks with templates of public scripts.
func inDockersShape(n *testNet) Seen {
	if _, err := n.server("web", "--network", "bridge", "--name", "web", "-p", "8080:80", "-p", "127.0.0.1:5353:53/udp", "--network-alias", "www"); err != nil {
		return failed(err)
	}
	parts := []Seen{printed("53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080", n.Run("port", "web")), printed("0.0.0.0:8080\n[::]:8080", n.Run("port", "web", "80"))}
	templates := [][2]string{
		{"{{.HostConfig.NetworkMode}}", "bridge"},
		{"{{.NetworkSettings.IPAddress}}", "10.201.0.2"},
		{"{{.NetworkSettings.IPPrefixLen}}", "16"},
		{"{{.NetworkSettings.Gateway}}", "10.201.0.1"},
		{"{{.NetworkSettings.MacAddress}}", "02:42:0a:c9:00:02"},
		{"{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.201.0.2"},
		{"{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{$n.Gateway}}{{end}}", "bridge 10.201.0.1"},
		{"{{.NetworkSettings.Networks.bridge.MacAddress}}", "02:42:0a:c9:00:02"},
		{`{{(index .NetworkSettings.Networks "bridge").Aliases}}`, "[www]"},
		{"{{range $p, $c := .NetworkSettings.Ports}}{{$p}} {{(index $c 0).HostPort}};{{end}}", "53/udp 5353;80/tcp 8080;"},
		{`{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}`, "8080"},
		{`{{range index .NetworkSettings.Ports "80/tcp"}}{{.HostIp}} {{end}}`, "0.0.0.0 :: "},
		{"{{json .HostConfig.PortBindings}}", `{"53/udp":[{"HostIp":"127.0.0.1","HostPort":"5353"}],"80/tcp":[{"HostIp":"","HostPort":"8080"}]}`},
		{"{{range $p, $_ := .Config.ExposedPorts}}{{$p}} {{end}}", "53/udp 80/tcp "},
	}
	var asked, expected []string
	for _, t := range templates {
		asked, expected = append(asked, t[0]), append(expected, t[1])
	}
	network := "{{(index .IPAM.Config 0).Subnet}} {{range .IPAM.Config}}{{.Gateway}} {{break}}{{end}}{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}} {{.Driver}} {{.Internal}}"
	missing := n.Run("network", "inspect", "-f", "{{.Name}}", "nope", "bridge")
	return all(append(parts, printed(strings.Join(expected, "|"), n.Run("inspect", "-f", strings.Join(asked, "|"), "web")),
		printed("10.201.0.0/16 10.201.0.1 web 10.201.0.2/16 bridge false", n.Run("inspect", "--type", "network", "-f", network, "bridge")),
		same("bridge\n", missing.Stdout), status(1, missing))...)
}

// testNet is a host's network with a neighbour: 198.18.0.1 is the host, 198.18.0.2 the
// neighbour, who has a server on port 80.
type testNet struct {
	*Box
	outside int // a process that is there
	servers []net.Listener
}

// inNetwork has a check done on a thread whose network is a new one. The thread is the
// check's own already, and ends with it.
func inNetwork(check func(n *testNet) Seen) func(b *Box) Seen {
	return func(b *Box) Seen {
		if _, err := exec.LookPath("ip"); err != nil {
			return Seen{Cannot: "there is no ip(8): package iproute2"}
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return Seen{Cannot: "only root can make a network for this check"}
		}
		neighbour := exec.Command("sleep", "1000")
		neighbour.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if err := neighbour.Start(); err != nil {
			return failed(err)
		}
		defer func() {
			neighbour.Process.Kill()
			neighbour.Wait()
		}()
		n := &testNet{Box: b, outside: neighbour.Process.Pid}
		ip, err := exec.LookPath("ip") // a busybox shell would take its own, which makes no cables
		if err != nil {
			return failed(err)
		}
		script := fmt.Sprintf(`$0 link set lo up; $0 link add up0 type veth peer name out0 netns %d; $0 addr add 198.18.0.1/30 dev up0; $0 link set up0 up
nsenter -t %[1]d -n sh -ec '$0 link set lo up; $0 addr add 198.18.0.2/30 dev out0; $0 link set out0 up' "$0"; $0 route add default via 198.18.0.2`, n.outside)
		if out, err := exec.Command("sh", "-ec", script, ip).CombinedOutput(); err != nil {
			return failed(fmt.Errorf("the check's network: %w: %s", err, out))
		}
		l, err := serveIn(n.outside, "outside")
		if err != nil {
			return failed(err)
		}
		defer func() {
			for _, l := range append(n.servers, l) {
				l.Close()
			}
		}()
		return check(n)
	}
}

// server starts a container in whose network a server answers on port 80, and which writes
// its address to a file.
func (n *testNet) server(name string, flags ...string) (*Container, error) {
	root, err := n.root()
	if err != nil {
		return nil, err
	}
	args := append([]string{"run", "--rootfs", root, "--tmpfs", "/tmp"}, flags...)
	c, err := n.Cat(append(args, "sh", "-c", `sed -n '$s/\t.*//p' /etc/hosts >/tmp/address; exec cat`)...)
	if err != nil {
		return nil, err
	}
	l, err := serveIn(c.PID, name)
	if err == nil {
		n.servers = append(n.servers, l)
	}
	return c, err
}

// addressOf is what a server has written to its file.
func addressOf(c *Container) string {
	text, err := os.ReadFile("/proc/" + c.pid() + "/root/tmp/address")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// serveIn listens in a process's network, and reports who asks which address it comes from.
func serveIn(pid int, name string) (l net.Listener, err error) {
	err = errors.Join(visit(pid, func() { l, err = net.Listen("tcp", ":80") }), err)
	if err != nil {
		return nil, fmt.Errorf("a server in the network of process %d: %w", pid, err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from, err := netip.ParseAddrPort(c.RemoteAddr().String())
			if err == nil {
				fmt.Fprintf(c, "%s sees %s", name, from.Addr().Unmap())
			}
			c.Close()
		}
	}()
	return l, nil
}

// visit does something on a thread in the network of a process, or in this one for 0.
func visit(pid int, do func()) error {
	if pid == 0 {
		do()
		return nil
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()              // for good: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() { // the first one does not: it would keep the network there
			err := visit(pid, do) // on another, while this one waits
			runtime.UnlockOSThread()
			done <- err
			return
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	return <-done
}

// unheard is how long an address may keep silent. Connections are answered by the kernel, also
// when the server does not get a CPU; and a second request is sent after one second.
const unheard = 3 * time.Second

// heard is what a server says to a client in the network of a process, or nothing. A server that has
// answered may take its time to say something.
func (n *testNet) heard(pid int, addr string) (said string) {
	err := visit(pid, func() {
		c, err := net.DialTimeout("tcp", addr, unheard)
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience / 6))
		b := make([]byte, 100)
		count, _ := c.Read(b)
		said = string(b[:count])
	})
	if err != nil {
		return err.Error()
	}
	return said
}

// get is a command that prints what a server says.
func get(host string, port int) string {
	return fmt.Sprintf("bash -c \"cat </dev/tcp/%s/%d\"", host, port)
}

func begins(with, saw string) Seen { return holds(strings.HasPrefix(saw, with), with+"…", saw) }

// afterKill kills the binary, and looks whether the next container gets the same address and
// no client reaches it by the port of the dead one.
func afterKill(n *testNet) Seen {
	first, err := n.server("first", "--network", "bridge", "-p", "8080:80")
	if err != nil {
		return failed(err)
	}
	reached := n.heard(n.outside, "198.18.0.1:8080")
	address := addressOf(first)
	if err := first.Signal(syscall.SIGKILL); err != nil {
		return failed(err)
	}
	first.Wait()
	n.servers[0].Close() // while a socket is open, its network stays
	second, err := n.server("second", "--network", "bridge")
	if err != nil {
		return failed(err)
	}
	cables := 0
	for end := time.Now().Add(patience / 4); cables != 1 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		links, err := os.ReadFile("/proc/thread-self/net/dev") // a network goes a moment after its last process
		if err != nil {
			return failed(err)
		}
		cables = strings.Count(string(links), "veth")
	}
	return all(same("first sees 198.18.0.2", reached), same(address, addressOf(second)),
		same("", n.heard(n.outside, "198.18.0.1:8080")), same("1", itoa(cables)))
}

// connectsOrLeavesNothing connects two containers: one without IPv6, and one that has set a default
// route of its own, so that the kernel refuses box's.
func connectsOrLeavesNothing(n *testNet) Seen {
	made := all(status(0, n.Run("network", "create", "--internal", "inside")), status(0, n.Run("network", "create", "red")))
	if !made.Holds {
		return made
	}
	for name, flags := range map[string]string{"old": "--sysctl net.ipv6.conf.all.disable_ipv6=1", "own": "--cap-add NET_ADMIN"} {
		if _, err := n.server(name, append(strings.Fields(flags), "--network", "inside", "--name", name)...); err != nil {
			return failed(err)
		}
	}
	links := func(name string) Ended { return n.Run("exec", name, "ls", "/sys/class/net").oneLine() }
	return all(status(0, n.Run("network", "connect", "red", "old")), printed("eth0 eth1 lo", links("old")),
		status(0, n.Run("exec", "own", "ip", "route", "add", "default", "dev", "eth0")),
		refused(n.Run("network", "connect", "red", "own")), printed("eth0 lo", links("own")))
}

// followsItsNetworks takes a server off the network by which its port is published, then off the other
// one, and connects it again.
func followsItsNetworks(n *testNet) Seen {
	made := status(0, n.Run("network", "create", "red"))
	web, err := n.server("web", "--network", "bridge", "--network", "red", "--name", "web", "-p", "8080:80")
	if err != nil {
		return failed(err)
	}
	reached := func(want string) Seen {
		local := n.heard(0, "[::1]:8080") // through the proxy
		if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
			local = want
		}
		return all(same(want, n.heard(n.outside, "198.18.0.1:8080")), holds(strings.HasPrefix(local, strings.TrimSuffix(want, "198.18.0.2")) && (local == "") == (want == ""), want+" at ::1", local),
			same(strconv.FormatBool(want != ""), strconv.FormatBool(n.Run("port", "web").Stdout != "")))
	}
	known := func(want string) Seen {
		own := n.Run("exec", "web", "sed", "-n", `s/^\(10\.[0-9]*\.0\.2\)\t.*web$/\1/p`, "/etc/hosts")
		return printed(want, own.oneLine())
	}
	leave := func(network string) Seen { return status(0, n.Run("network", "disconnect", network, "web")) }
	return all(made, reached("web sees 198.18.0.2"), known("10.202.0.2 10.201.0.2"),
		leave("bridge"), reached("web sees 198.18.0.2"), known("10.201.0.2"), same("outside sees 198.18.0.1", n.heard(web.PID, "198.18.0.2:80")),
		leave("red"), reached(""), known(""), same("", n.heard(web.PID, "198.18.0.2:80")),
		status(0, n.Run("network", "connect", "red", "web")), reached("web sees 198.18.0.2"), known("10.201.0.2"))
}

// hasItsMAC gives a container the addresses of three links, one of them later.
func hasItsMAC(n *testNet) Seen {
	made := all(status(0, n.Run("network", "create", "red")), status(0, n.Run("network", "create", "blue")))
	_, err := n.server("web", "--network", "bridge", "--mac-address", "02:42:0a:00:00:09", "--network", "name=red,mac-address=02:42:0A:00:00:0a", "--name", "web")
	if err != nil {
		return failed(err)
	}
	links := func() Ended { return n.Run("exec", "web", "sh", "-c", "cat /sys/class/net/eth*/address").oneLine() }
	parts := []Seen{made, printed("02:42:0a:00:00:09 02:42:0a:00:00:0a", links()),
		status(0, n.Run("network", "connect", "--mac-address", "02:42:0a:00:00:0b", "blue", "web")), printed("02:42:0a:00:00:09 02:42:0a:00:00:0a 02:42:0a:00:00:0b", links()),
		printed("02:42:0a:00:00:0b 02:42:0a:00:00:09 02:42:0a:00:00:0a", n.Run("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.MacAddress}} {{end}}", "web").oneLine())}
	for _, flags := range []string{"--network none", "--network host", "--network bridge --mac-address x", "--network bridge --mac-address 01:00:5e:00:00:01"} {
		parts = append(parts, refused(n.inRoot(append(strings.Fields("--mac-address 02:42:0a:00:00:09"), strings.Fields(flags)...), "true")))
	}
	return all(parts...)
}

// buildsOnNetworks builds a step that succeeds only with the flag.
func buildsOnNetworks(n *testNet) Seen {
	made := status(0, n.Run("network", "create", "red"))
	if _, err := n.server("web", "--network", "bridge", "--mac-address", "02:42:0a:00:00:09", "--name", "web"); err != nil {
		return failed(err)
	}
	parts := []Seen{made, status(1, n.build("FROM tiny", "RUN grep 192.0.2.1.wanted /etc/hosts || ip link show eth0 | grep 02:42:0a:00:00:09 || ip addr show eth0 | grep 10.201.0"))}
	build := func(flags string) Ended {
		return n.Run(append(append([]string{"build"}, strings.Fields(flags)...), n.context())...)
	}
	for _, flags := range []string{"--add-host wanted:192.0.2.1", "--network red", "--network container:web"} {
		parts = append(parts, status(0, build(flags)), status(1, build("")))
	}
	for _, flags := range []string{"--add-host x", "--network a/b", "--network container:", "--network container:web --add-host a:192.0.2.1"} {
		parts = append(parts, refused(build(flags)))
	}
	parts = append(parts, status(1, build("--network nope")), status(1, build("--network container:nope")))
	return all(parts...)
}

// onTwoNetworks has a server on two networks, one of them internal, and clients on one each.
func onTwoNetworks(n *testNet) Seen {
	made := all(status(0, n.Run("network", "create", "red")), status(0, n.Run("network", "create", "--internal", "--label", "tier=store", "inside")))
	if !made.Holds {
		return made
	}
	_, err := n.server("web", "--network", "inside", "--network", "name=red,alias=shop", "--name", "web")
	if err != nil {
		return failed(err)
	}
	links := n.Run("exec", "web", "sh", "-c", "ip -4 -o route show default | cut -d' ' -f3; ls /sys/class/net")
	parts := []Seen{same("shop", strings.Join(strings.Fields(n.Run("network", "inspect", "-f", "{{if eq .Labels.tier \"store\"}}shop{{end}}", "inside").Stdout), " ")),
		printed("10.201.0.1 eth0 eth1 lo", links.oneLine()), begins("web sees ", n.script(get("shop", 80), "--network", "red").Stdout),
		begins("web sees ", n.script(get("web", 80), "--network", "inside").Stdout), same("", n.script(get("shop", 80), "--network", "inside").Stdout)}
	hosts := n.Run("exec", "web", "cat", "/etc/hosts").Stdout
	for _, addr := range strings.Fields(n.Run("exec", "web", "sh", "-c", "ip -4 -o addr show scope global | tr -s ' ' | cut -d' ' -f4 | cut -d/ -f1").Stdout) {
		parts = append(parts, holds(strings.Contains(hosts, "\n"+addr+"\t"), addr+" in /etc/hosts", hosts))
	}
	_, err = n.server("other", "--network", "bridge", "--name", "other")
	if err != nil {
		return failed(err)
	}
	hears := func() string { return n.script(get("late", 80), "--network", "red").Stdout }
	parts = append(parts, same("", hears()), status(0, n.Run("network", "connect", "--alias", "late", "red", "other")), begins("other sees ", hears()),
		refused(n.Run("network", "connect", "red", "other")), status(0, n.Run("network", "disconnect", "red", "other")), same("", hears()),
		refused(n.Run("network", "disconnect", "red", "other")), printed("bridge", n.Run("ps", "--filter", "name=other", "--format", "{{.Networks}}")))
	return all(parts...)
}
