package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage08-network/dns"
	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/portmap"
	"stagebox/stage08-network/proxy"
)

// The test binary is also what runs in containers and outside: see helpers.
func init() {
	switch os.Getenv("BOX_NETWORK_HELPER") {
	case "serve":
		serveAll(os.Args[1])
	case "box":
		lonelyBox(os.Args[1], os.Args[2])
	}
}

// serveAll answers with its name and the address that it sees of the client, on port 80 of
// TCP and UDP.
func serveAll(name string) {
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		panic(err)
	}
	packets, err := net.ListenPacket("udp", ":80")
	if err != nil {
		panic(err)
	}
	go func() {
		b := make([]byte, 100)
		for {
			if _, from, err := packets.ReadFrom(b); err == nil {
				packets.WriteTo([]byte(name+" "+from.String()), from)
			}
		}
	}()
	for {
		if c, err := l.Accept(); err == nil {
			fmt.Fprintf(c, "%s %s", name, c.RemoteAddr())
			c.Close()
		}
	}
}

// lonelyBox runs a container that publishes 8080, says so, and waits to be killed.
func lonelyBox(dir, root string) {
	runtime.LockOSThread()
	w := NetworkOptions{Publish: []string{"8080:80"}}
	if _, err := launchWired(networksIn(dir), "lonely", w); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	select {}
}

// wired is a container of a test.
type wired struct {
	*link
	*plan.Process
}

// beforeStart is called when all of a container is prepared, and nothing made.
var beforeStart = func() {}

// launchWired runs the test binary as a server in a container.
func launchWired(dir networks, name string, w NetworkOptions) (*wired, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Container{}
	c.Hostname = name
	p := newPlan()
	link, err := newLink(&w, p, c.Isolation, dir, endpoint{id: fmt.Sprintf("%x%04x", name, os.Getpid()), name: name, hostname: name})
	if err != nil {
		return nil, err
	}
	c.link = link
	if err := namespaces(c, p); err != nil {
		return nil, err
	}
	link.whileHeld(p)
	p.Execve([]string{self, name}, []string{"BOX_NETWORK_HELPER=serve", "PATH=/bin"}, "/bin")
	beforeStart()
	process, err := c.Narration.Start(p.Plan)
	if err == nil {
		err = link.startResolver()
	}
	if err != nil {
		return nil, errors.Join(err, link.disconnect())
	}
	return &wired{link, process}, nil
}

func startWired(t *testing.T, dir networks, name string, w NetworkOptions) *wired {
	t.Helper()
	c, err := launchWired(dir, name, w)
	require.NoError(t, err)
	t.Cleanup(func() { c.end(t) })
	if c.Addr.IsValid() {
		require.Eventually(t, func() bool { return talk("tcp", netip.AddrPortFrom(c.Addr, 80).String(), time.Second) != "" }, time.Minute, 5*time.Millisecond)
	}
	return c
}

func (c *wired) end(t *testing.T) {
	if c.Process == nil {
		return
	}
	require.NoError(t, unix.Kill(c.PID, unix.SIGKILL))
	_, err := unix.Wait4(c.PID, nil, 0, nil)
	require.NoError(t, err)
	require.NoError(t, c.disconnect())
	c.Process = nil
}

// onOwnHost runs a test once more, as a process with a network and mounts of its own: for
// the test these are the host's. What else is there is outside's, a third network.
func onOwnHost(t *testing.T) (outside int, here bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root only: an ordinary user may make no bridge")
	}
	if os.Getenv("BOX_NETWORK_HOST") != t.Name() {
		onceMore(t, &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS})
		return 0, false
	}
	runtime.LockOSThread()
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "outside")
	cmd.Env = []string{"BOX_NETWORK_HELPER=serve"}
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { require.NoError(t, cmd.Process.Kill()); cmd.Wait() })
	outside = cmd.Process.Pid
	sh(t, fmt.Sprintf(`ip link set lo up
ip link add uplink type veth peer name out0 netns %d
ip addr add 198.18.0.1/30 dev uplink; ip addr add 2001:db8::1/64 dev uplink nodad; ip link set uplink up
nsenter -t %[1]d -n sh -c 'ip link set lo up; ip addr add 198.18.0.2/30 dev out0; ip addr add 2001:db8::2/64 dev out0 nodad; ip link set out0 up'
ip route add default via 198.18.0.2; ip -6 route add default via 2001:db8::2`, outside))
	require.Eventually(t, func() bool { return talk("tcp", "[2001:db8::2]:80", time.Second) != "" }, time.Minute, 5*time.Millisecond)
	return outside, true
}

// onceMore runs a test in another process, beside others: here it is only waited for.
func onceMore(t *testing.T, attr *unix.SysProcAttr) {
	t.Helper()
	t.Parallel()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v="+strconv.FormatBool(testing.Verbose()), "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "BOX_NETWORK_HOST="+t.Name())
	attr.Pdeathsig = unix.SIGKILL
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if testing.Verbose() {
		t.Log(string(out))
	}
	require.NoError(t, err, string(out))
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip(string(out))
	}
}

func sh(t testing.TB, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	return string(out)
}

// needs skips a test where a program is missing that it asks.
func needs(t testing.TB, programs ...string) {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

// talk returns what a server says, or nothing.
func talk(network, addr string, patience time.Duration) string {
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if network == "udp" {
		c.Write([]byte("?"))
		b := make([]byte, 100)
		n, _ := c.Read(b)
		return string(b[:n])
	}
	b, _ := io.ReadAll(c)
	return string(b)
}

// init keeps the process's first thread for the main goroutine. Its network is what others take
// for that of the process, and inside would leave it in another one: a goroutine that ends
// takes its thread with it, but not the first.
func init() { runtime.LockOSThread() }

// inside calls f on a thread that has the network of a process.
func inside(t *testing.T, pid int, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never again: the thread ends with the goroutine
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	require.NoError(t, <-done)
}

func heard(t *testing.T, pid int, network, addr string, patience time.Duration) (got string) {
	t.Helper()
	inside(t, pid, func() { got = talk(network, addr, patience) })
	return got
}

func says(t *testing.T, pid int, network, addr, want string) {
	t.Helper()
	require.Regexp(t, "^"+want, heard(t, pid, network, addr, time.Minute), "%s %s", network, addr)
}

func silent(t *testing.T, pid int, network, addr string) {
	t.Helper()
	require.Empty(t, heard(t, pid, network, addr, 300*time.Millisecond), "%s %s", network, addr)
}

// snapshot is all of a host's network that has to be as before: links, addresses, routes,
// rules and settings. A cable may go while find and grep are at its settings.
func snapshot(t *testing.T) string {
	out := sh(t, `ip -br addr | sed 's/@if[0-9]*//'; ip route show table all; ip -6 route show table all | sort; nft list ruleset; find /proc/sys/net -type f \( -name '*forward*' -o -name accept_ra -o -name 'accept_redirects' -o -name route_localnet \) | sort | xargs grep -s . || true`)
	return regexp.MustCompile(`(?m)expires \S+|.*\bfe80::.*\n| fe80::\S+`).ReplaceAllString(out, "") // link-local ones come by themselves
}

func TestNetwork(t *testing.T) {
	needs(t, "ip", "nft", "nsenter")
	outside, here := onOwnHost(t)
	if !here {
		return
	}
	before := snapshot(t)
	dir := networksIn(t.TempDir())
	t.Run("bridge", func(t *testing.T) { testBridge(t, dir, outside) })
	t.Run("published", func(t *testing.T) { testPublished(t, dir, outside) })
	t.Run("bridged frames filtered", func(t *testing.T) {
		boxtest.Turn(t, 0, 4) // it publishes once more
		const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
		old, err := os.ReadFile(setting)
		if err != nil {
			t.Skip("the kernel's br_netfilter is not loaded")
		}
		other := map[string]string{"0\n": "1", "1\n": "0"}[string(old)]
		require.NoError(t, os.WriteFile(setting, []byte(other), 0))
		require.NoError(t, os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-ip6tables", []byte(other), 0))
		testPublished(t, dir, outside)
		require.NoError(t, os.WriteFile(setting, old, 0))
		require.NoError(t, os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-ip6tables", old, 0))
	})
	t.Run("flows", func(t *testing.T) { testFlows(t, dir, outside) })
	t.Run("networks are apart", func(t *testing.T) { testApart(t, dir, outside) })
	t.Run("names", func(t *testing.T) { testNames(t, dir) })
	t.Run("killed", func(t *testing.T) { testKilled(t, dir) })
	t.Run("table", func(t *testing.T) { testTable(t, dir) })
	t.Run("table is mended", func(t *testing.T) { testTableIsMended(t, dir, outside) })
	t.Run("chosen port", func(t *testing.T) { testChosenPort(t, dir) })
	t.Run("removed meanwhile", func(t *testing.T) { testRemovedMeanwhile(t) })
	t.Run("picture", func(t *testing.T) { testPicture(t, dir) })
	t.Run("elsewhere", func(t *testing.T) { testElsewhere(t, dir) })

	list, err := dir.List()
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.NotEqual(t, before, snapshot(t), "this check would not see anything")
	for _, n := range list {
		require.NoError(t, dir.remove(n.Name, false))
	}
	for end := time.Now().Add(time.Minute); before != snapshot(t) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // the last cables go a moment after their containers
	}
	require.Equal(t, before, snapshot(t))
	left, err := os.ReadDir(dir.Path)
	require.NoError(t, err)
	require.Len(t, left, 2, "the lock, and the directory of those that keep addresses")
}

// testElsewhere asks for the removal of a network whose bridge is in another namespace.
func testElsewhere(t *testing.T, dir networks) {
	n, err := newNetwork(dir, "far", netip.Prefix{}, false)
	require.NoError(t, err)
	ours := n.Netns
	n.Netns = "net:[1]"
	data, err := json.Marshal(n)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir.File("far.json"), data, 0o644))
	require.ErrorContains(t, dir.remove("far", false), "net:[1]")
	require.NotEqual(t, "net:[1]", ours)
	require.NoError(t, dir.remove("far", true))
	_, err = dir.Find("far")
	require.ErrorIs(t, err, ipam.ErrNoNetwork)
}

func testBridge(t *testing.T, dir networks, outside int) {
	c := startWired(t, dir, "web", NetworkOptions{Network: []string{"default"}})
	n := c.network

	var addrs []struct {
		Ifname, Address string
		AddrInfo        []struct {
			Local     string
			Prefixlen int
			Tentative bool
		} `json:"addr_info"`
	}
	require.NoError(t, json.Unmarshal([]byte(sh(t, fmt.Sprintf("nsenter -t %d -n ip -j addr show eth0", c.PID))), &addrs))
	require.Len(t, addrs, 1)
	require.Equal(t, "02:42:0a:c9:00:02", addrs[0].Address)
	require.Equal(t, "10.201.0.2", addrs[0].AddrInfo[0].Local)
	require.Equal(t, 16, addrs[0].AddrInfo[0].Prefixlen)
	require.Equal(t, ipam.Nth(n.Subnet6, 2).String(), addrs[0].AddrInfo[1].Local)
	require.False(t, addrs[0].AddrInfo[1].Tentative)
	require.Contains(t, sh(t, fmt.Sprintf("nsenter -t %d -n sh -c 'ip route; ip -6 route'", c.PID)), "default via 10.201.0.1 dev eth0")
	require.Regexp(t, c.veth+`@\S+ +UP`, sh(t, "ip -br link show master "+c.network.Bridge))
	require.Regexp(t, c.network.Bridge+` +UP +10\.201\.0\.1/16 fd\S+::1/64`, sh(t, "ip -br addr show "+c.network.Bridge))

	silent(t, outside, "tcp", "10.201.0.2:80") // it has no route there
	says(t, c.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
	says(t, c.PID, "udp", "198.18.0.2:80", "outside 198.18.0.1:")
	says(t, c.PID, "tcp", "[2001:db8::2]:80", `outside \[2001:db8::1]:`)
	sh(t, "nft flush chain inet stagebox leaving")
	silent(t, c.PID, "tcp", "198.18.0.2:80")
	silent(t, c.PID, "tcp", "[2001:db8::2]:80")
	require.NoError(t, sendNat(nat.Create()...))
	says(t, c.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	silent(t, c.PID, "tcp", "198.18.0.2:80")
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))

	// A route there is not enough to reach what is not published.
	sh(t, fmt.Sprintf("nsenter -t %d -n ip route add 10.201.0.0/16 via 198.18.0.1", outside))
	silent(t, outside, "tcp", "10.201.0.2:80")
	sh(t, fmt.Sprintf("nsenter -t %d -n ip route del 10.201.0.0/16", outside))
}

// testFlows has somebody send from the same UDP port all the time, while the container that
// answers goes, another gets its address, and a third publishes the port.
func testFlows(t *testing.T, dir networks, outside int) {
	for _, host := range []string{"198.18.0.1", "[2001:db8::1]"} {
		publish := NetworkOptions{Publish: []string{"8080:80/udp"}}
		first := startWired(t, dir, "first", publish)
		addr := first.Addr
		var client net.Conn
		inside(t, outside, func() { client, _ = net.Dial("udp", host+":8080") })
		require.NotNil(t, client)
		answer := func() string {
			client.SetDeadline(time.Now().Add(100 * time.Millisecond)) // after the last one nothing would be sent
			client.Write([]byte("?"))
			b := make([]byte, 100)
			n, _ := client.Read(b)
			return string(b[:n])
		}
		answers := func(name string) {
			got := ""
			for end := time.Now().Add(time.Minute); !strings.HasPrefix(got, name+" ") && time.Now().Before(end); {
				got = answer()
			}
			require.Regexp(t, "^"+name+" ", got, host)
		}
		answers("first")
		first.end(t)
		answer()
		other := startWired(t, dir, "other", NetworkOptions{Network: []string{"default"}})
		require.Equal(t, addr, other.Addr, "this check would not see anything")
		third := startWired(t, dir, "third", publish)
		answers("third")
		require.NoError(t, client.Close())
		other.end(t)
		third.end(t)
	}
}

func testPublished(t *testing.T, dir networks, outside int) {
	c := startWired(t, dir, "web", NetworkOptions{Publish: []string{"8080:80", "8080:80/udp", "127.0.0.1:8081:80", "[::1]:8082:80", "198.18.0.1:8083:80", "[2001:db8::1]:8084:80", "80"}})
	neighbour := startWired(t, dir, "neighbour", NetworkOptions{Network: []string{"default"}})
	self := os.Getpid()
	for _, network := range []string{"tcp", "udp"} {
		says(t, outside, network, "198.18.0.1:8080", "web 198.18.0.2:")
		says(t, outside, network, "[2001:db8::1]:8080", `web \[2001:db8::2]:`)
		for _, on := range []string{"127.0.0.1", "[::1]", "198.18.0.1", "10.201.0.1", "[2001:db8::1]"} {
			says(t, self, network, on+":8080", "web ")
			if on[0] != '[' || on[1] == '2' { // loopback is a container's own
				for _, from := range []*wired{c, neighbour} {
					if on != "127.0.0.1" {
						says(t, from.PID, network, on+":8080", "web ")
					}
				}
			}
		}
	}
	says(t, self, "tcp", "127.0.0.1:8081", "web 10.201.0.1:")
	silent(t, outside, "tcp", "198.18.0.1:8081")
	says(t, self, "tcp", "[::1]:8082", "web 10.201.0.1:")
	silent(t, self, "tcp", "127.0.0.1:8082")
	says(t, outside, "tcp", "198.18.0.1:8083", "web ")
	silent(t, self, "tcp", "127.0.0.1:8083")
	says(t, outside, "tcp", "[2001:db8::1]:8084", "web ")
	silent(t, outside, "tcp", "198.18.0.1:8084")
	chosen := c.Ports[len(c.Ports)-1]
	says(t, outside, "tcp", fmt.Sprintf("198.18.0.1:%d", chosen.Host), "web ")
	require.Equal(t, fmt.Sprintf("[0.0.0.0:%d->80/tcp]", chosen.Host), fmt.Sprint(chosen.Published(false)))

	_, err := launchWired(dir, "second", NetworkOptions{Publish: []string{"8080:80"}})
	require.ErrorContains(t, err, "port 8080/tcp of the host is in use by")
	require.ErrorContains(t, err, "in use by container web")
	leases, err := os.ReadFile(dir.File("bridge.leases"))
	require.NoError(t, err)
	require.NotContains(t, string(leases), "second")

	// What comes from a container to the host's loopback is dropped.
	sh(t, fmt.Sprintf("nsenter -t %d -n ip route add 127.0.0.9/32 via 10.201.0.1 table local; nsenter -t %[1]d -n sysctl -qw net.ipv4.conf.eth0.route_localnet=1", c.PID))
	l, err := net.Listen("tcp", "127.0.0.9:99")
	require.NoError(t, err)
	go func() {
		for {
			victim, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(victim, "host")
			victim.Close()
		}
	}()
	sh(t, fmt.Sprintf("nsenter -t %d -n sh -c 'ip route del local 127.0.0.0/8 dev lo table local; ip route del 127.0.0.9 table local; ip route add 127.0.0.9 via 10.201.0.1'", c.PID))
	attack := func(patience time.Duration) string { // from an address that the host can answer
		var got string
		inside(t, c.PID, func() {
			d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP("10.201.0.2")}}
			if conn, err := d.Dial("tcp", "127.0.0.9:99"); err == nil {
				b, _ := io.ReadAll(conn)
				got = string(b)
				conn.Close()
			}
		})
		return got
	}
	require.Empty(t, attack(300*time.Millisecond))
	sh(t, "nft flush chain inet stagebox guard")
	require.Equal(t, "host", attack(time.Minute))
	require.NoError(t, sendNat(nat.Create()...))
	require.NoError(t, l.Close())

	c.end(t)
	silent(t, outside, "tcp", "198.18.0.1:8080")
	require.NotContains(t, sh(t, "nft list table inet stagebox"), "8080")
}

func testApart(t *testing.T, dir networks, outside int) {
	n, err := newNetwork(dir, "red", netip.MustParsePrefix("10.99.0.0/24"), false)
	require.NoError(t, err)
	_, err = newNetwork(dir, "secret", netip.Prefix{}, true)
	require.NoError(t, err)
	red := startWired(t, dir, "r1", NetworkOptions{Network: []string{"red"}, IP: "10.99.0.77"})
	red2 := startWired(t, dir, "r2", NetworkOptions{Network: []string{"red"}, Publish: []string{"8090:80"}})
	blue := startWired(t, dir, "b1", NetworkOptions{Network: []string{"default"}})
	secret := startWired(t, dir, "s1", NetworkOptions{Network: []string{"secret"}})
	secret2 := startWired(t, dir, "s2", NetworkOptions{Network: []string{"secret"}})
	require.Equal(t, "10.99.0.77", red.Addr.String())
	require.Equal(t, "10.99.0.2", red2.Addr.String())
	says(t, red.PID, "tcp", "10.99.0.2:80", "r2 10.99.0.77:")
	silent(t, blue.PID, "tcp", "10.99.0.2:80")
	silent(t, blue.PID, "tcp", netip.AddrPortFrom(red2.lease.Addr6, 80).String())
	says(t, red.PID, "tcp", netip.AddrPortFrom(red2.lease.Addr6, 80).String(), "r2 ")
	says(t, blue.PID, "tcp", "198.18.0.1:8090", "r2 ")
	says(t, secret.PID, "tcp", netip.AddrPortFrom(secret2.Addr, 80).String(), "s2 ")
	silent(t, secret.PID, "tcp", "198.18.0.2:80")
	sh(t, fmt.Sprintf("nsenter -t %d -n ip route add default via %s", secret.PID, secret.network.Gateway))
	silent(t, secret.PID, "tcp", "198.18.0.2:80")
	says(t, red.PID, "tcp", "198.18.0.2:80", "outside ")
	sh(t, "nft flush chain inet stagebox forward")
	says(t, blue.PID, "tcp", "10.99.0.2:80", "r2 ") // it was the rules that kept them apart
	require.NoError(t, sendNat(nat.Create()...))

	_, err = launchWired(dir, "r3", NetworkOptions{Network: []string{"red"}, IP: "10.99.0.77"})
	require.EqualError(t, err, "--ip 10.99.0.77 is taken: by container r1")
	require.ErrorContains(t, dir.remove("red", false), "network red is in use by r2, r1: stop or disconnect its containers first")
	_, err = newNetwork(dir, "green", netip.MustParsePrefix("10.99.0.128/25"), false)
	require.EqualError(t, err, "--subnet 10.99.0.128/25 overlaps with 10.99.0.0/24 of network red: choose another, or leave --subnet out")
	_, err = newNetwork(dir, "green", netip.MustParsePrefix("198.18.0.0/24"), false)
	require.EqualError(t, err, "--subnet 198.18.0.0/24 overlaps with the host's route to 198.18.0.0/30: choose another, or leave --subnet out")
	red.end(t)
	red2.end(t)
	require.NoError(t, dir.remove("red", false))
	require.NotContains(t, sh(t, "nft list table inet stagebox; ip link"), n.Bridge)
	require.NotContains(t, sh(t, "nft list table inet stagebox"), "10.99.0.0")
	says(t, blue.PID, "tcp", "198.18.0.2:80", "outside ")
}

// query asks the resolver inside a container and returns the answers' addresses and names.
func query(t *testing.T, pid int, over, name string, kind dnsmessage.Type) (answers []string, code dnsmessage.RCode) {
	t.Helper()
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	packed, err := q.Pack()
	require.NoError(t, err)
	var got []byte
	require.Eventually(t, func() bool { // box itself asks once, and does not wait for as long as a busy host may take
		inside(t, pid, func() { got, err = exchange(over, packed) })
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}, time.Minute, time.Millisecond)
	require.NoError(t, err, name)
	var m dnsmessage.Message
	require.NoError(t, m.Unpack(got))
	for _, a := range m.Answers {
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			answers = append(answers, netip.AddrFrom4(body.A).String())
		case *dnsmessage.AAAAResource:
			answers = append(answers, netip.AddrFrom16(body.AAAA).String())
		case *dnsmessage.PTRResource:
			answers = append(answers, body.PTR.String())
		}
	}
	return answers, m.RCode
}

// exchange sends a question to the resolver and returns its answer. Over TCP each follows its
// length.
func exchange(over string, question []byte) ([]byte, error) {
	conn, err := net.DialTimeout(over, netip.AddrPortFrom(resolverAddr, 53).String(), 3*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	if over == "tcp" {
		conn.Write(framed(question))
		return readFramed(conn)
	}
	conn.Write(question)
	answer := make([]byte, 1<<16)
	n, err := conn.Read(answer)
	return answer[:n], err
}

func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

func readFramed(r io.Reader) ([]byte, error) {
	size := make([]byte, 2)
	if _, err := io.ReadFull(r, size); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size))
	_, err := io.ReadFull(r, message)
	return message, err
}

// hostResolver answers every question with 192.0.2.53, on the host's loopback, and has
// /etc/resolv.conf name it.
func hostResolver(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(conf, []byte("nameserver 127.0.0.53\nsearch example.org\noptions ndots:2\n"), 0o644))
	require.NoError(t, unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount("/etc/resolv.conf", unix.MNT_DETACH)) })
	answer := func(b []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(b) != nil {
			return nil
		}
		m.Response = true
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 53}}}}
		packed, _ := m.Pack()
		return packed
	}
	packets, err := net.ListenPacket("udp", "127.0.0.53:53")
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.53:53")
	require.NoError(t, err)
	t.Cleanup(func() { packets.Close(); l.Close() })
	go func() {
		b := make([]byte, 600)
		for {
			n, from, err := packets.ReadFrom(b)
			if err != nil {
				return
			}
			packets.WriteTo(bytes.Repeat([]byte{1}, 40), from) // a forgery that must be passed over
			packets.WriteTo(answer(b[:n]), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if q, err := readFramed(c); err == nil {
				c.Write(framed(answer(q)))
			}
			c.Close()
		}
	}()
}

func testNames(t *testing.T, dir networks) {
	hostResolver(t)
	_, err := newNetwork(dir, "named", netip.Prefix{}, false)
	require.NoError(t, err)
	a := startWired(t, dir, "alpha", NetworkOptions{Network: []string{"named"}, NetworkAlias: []string{"db", "shared"}})
	b := startWired(t, dir, "beta", NetworkOptions{Network: []string{"named"}, NetworkAlias: []string{"shared"}})
	elsewhere := startWired(t, dir, "gamma", NetworkOptions{Network: []string{"default"}})
	for _, over := range []string{"udp", "tcp"} {
		for _, name := range []string{"alpha.", "DB.", a.lease.ID[:min(12, len(a.lease.ID))] + "."} {
			answers, _ := query(t, b.PID, over, name, dnsmessage.TypeA)
			require.Equal(t, []string{a.Addr.String()}, answers, name)
		}
		answers, _ := query(t, b.PID, over, "alpha.", dnsmessage.TypeAAAA)
		require.Equal(t, []string{a.lease.Addr6.String()}, answers)
		answers, code := query(t, b.PID, over, "alpha.", dnsmessage.TypeMX)
		require.Empty(t, answers)
		require.Equal(t, dnsmessage.RCodeSuccess, code)
		answers, _ = query(t, b.PID, over, "shared.", dnsmessage.TypeA)
		require.Equal(t, []string{a.Addr.String(), b.Addr.String()}, answers)
		answers, _ = query(t, b.PID, over, dns.ReverseName(a.Addr)+".", dnsmessage.TypePTR)
		require.Equal(t, []string{"alpha.named."}, answers)
		answers, _ = query(t, b.PID, over, "alpha.named.", dnsmessage.TypeA)
		require.Equal(t, []string{a.Addr.String()}, answers)
		answers, _ = query(t, b.PID, over, "example.com.", dnsmessage.TypeA)
		require.Equal(t, []string{"192.0.2.53"}, answers, "the host's resolver")
		answers, _ = query(t, elsewhere.PID, over, "alpha.", dnsmessage.TypeA)
		require.Equal(t, []string{"192.0.2.53"}, answers, "a name of another network is not known")
	}
	if _, err := exec.LookPath("dig"); err == nil {
		require.Equal(t, a.Addr.String()+"\n", sh(t, fmt.Sprintf("nsenter -t %d -n dig +short @127.0.0.11 alpha", b.PID)))
	}
	require.Equal(t, "nameserver 127.0.0.11\nsearch example.org\noptions ndots:2\n", a.resolvConf())
	require.Contains(t, a.hosts, a.Addr.String()+"\talpha\n")
	_, err = launchWired(dir, "delta", NetworkOptions{Network: []string{"named"}, AddHost: []string{"x"}})
	require.EqualError(t, err, "--add-host x: give NAME:IP, or NAME:host-gateway for the host on a bridge")
	a.end(t)
	answers, _ := query(t, b.PID, "udp", "alpha.", dnsmessage.TypeA)
	require.Equal(t, []string{"192.0.2.53"}, answers, "it has gone")
}

func testKilled(t *testing.T, dir networks) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, dir.Path, "/")
	cmd.Env = append(os.Environ(), "BOX_NETWORK_HELPER=box")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n, err := out.Read(make([]byte, 10))
	require.NoError(t, err, errs.String())
	require.Equal(t, 6, n)
	require.Contains(t, sh(t, "nft list map inet stagebox any4"), "tcp . 8080 comment")
	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
	require.Eventually(t, func() bool { return !strings.Contains(sh(t, "ip -br link"), "veth") }, time.Minute, 20*time.Millisecond)
	leases, err := os.ReadFile(dir.File("bridge.leases"))
	require.NoError(t, err)
	require.Contains(t, string(leases), "lonely")
	require.Contains(t, sh(t, "nft list map inet stagebox any4"), "8080") // nobody was left to remove it

	c := startWired(t, dir, "web", NetworkOptions{Publish: []string{"8080:80"}})
	require.Equal(t, "10.201.0.2", c.Addr.String())
	says(t, os.Getpid(), "tcp", "127.0.0.1:8080", "web ")
	leases, err = os.ReadFile(dir.File("bridge.leases"))
	require.NoError(t, err)
	require.NotContains(t, string(leases), "lonely")
}

// testTable holds the text that is told of every rule against what nft lists.
func testTable(t *testing.T, dir networks) {
	startWired(t, dir, "web", NetworkOptions{Publish: []string{"127.0.0.1:8080:80/udp", "[2001:db8::1]:8080:80"}})
	listing := sh(t, "nft -n list table inet stagebox")
	listed := map[string][]string{}
	chain := ""
	for line := range strings.Lines(strings.ReplaceAll(listing, "0x00000002", "established")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "chain "); ok {
			chain = strings.TrimSuffix(name, " {")
		} else if chain != "" && line != "}" && line != "" && !strings.HasPrefix(line, "type ") {
			listed[chain] = append(listed[chain], line)
		}
	}
	symbolic := sh(t, "nft list table inet stagebox")
	told := map[string][]string{}
	for _, r := range natRules() {
		told[r.Chain] = append(told[r.Chain], r.Text)
		require.Contains(t, symbolic, "\t\t"+r.Text+"\n")
	}
	for chain, rules := range told {
		require.Len(t, listed[chain], len(rules), chain)
	}
	require.Regexp(t, `127\.0\.0\.1 . udp . 8080 comment "\w+" : 10\.201\.0\.2 . 80`, symbolic)
	require.Contains(t, symbolic, "2001:db8::1 . tcp . 8080 comment")
	require.Contains(t, symbolic, "10.201.0.0/16")
	require.NoError(t, sendNat(nat.Create()...))
	require.Equal(t, symbolic, sh(t, "nft list table inet stagebox"), "made twice, it is the same")
	require.Contains(t, symbolic, "type filter hook forward priority filter; policy accept;")
}

// testTableIsMended harms the table, makes it as older and newer boxes do, and has another
// program make one of its name.
func testTableIsMended(t *testing.T, dir networks, outside int) {
	other, err := newNetwork(dir, "adjacent", netip.Prefix{}, false)
	require.NoError(t, err)
	web := startWired(t, dir, "web", NetworkOptions{Publish: []string{"8080:80", "127.0.0.1:8081:80/udp"}})
	more := startWired(t, dir, "more", NetworkOptions{Network: []string{"adjacent"}})
	next := func() {
		t.Helper()
		c := startWired(t, dir, "next", NetworkOptions{Network: []string{"default"}})
		says(t, c.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
		says(t, more.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
		says(t, outside, "tcp", "198.18.0.1:8080", "web ")
		c.end(t)
	}
	listing := func() string { return sh(t, "nft list table inet stagebox") }
	whole := listing()
	require.Contains(t, whole, `comment "made by box, version 2"`)
	require.Contains(t, whole, `"`+web.network.Bridge+`"`)

	silent(t, web.PID, "tcp", netip.AddrPortFrom(more.Addr, 80).String())

	// What nft lists it loads, and it is the same; a box finds it whole, or makes it so.
	file := filepath.Join(t.TempDir(), "ruleset")
	sh(t, "nft list ruleset >"+file+"; nft flush ruleset; nft -f "+file)
	require.Equal(t, whole, listing())
	next()
	require.Equal(t, whole, listing())

	for _, harm := range []string{"flush chain inet stagebox leaving", "flush table inet stagebox",
		"flush chain inet stagebox publish", "flush chain inet stagebox arriving; nft delete chain inet stagebox arriving"} {
		sh(t, "nft "+harm)
		require.NotEqual(t, whole, listing())
		next()
		require.Equal(t, whole, listing(), harm)
	}
	sh(t, "nft add rule inet stagebox guard counter")
	next()
	require.Contains(t, listing(), "counter", "one more rule does no harm")

	// An older box's has no comment, and sets that nft cannot read.
	sh(t, `nft list ruleset | sed '/comment "made by box/d' >`+file+"; nft flush ruleset; nft -f "+file)
	next()
	require.Equal(t, whole, listing())
	sh(t, "nft list ruleset | sed 's/box, version 2/box, version 1/' >"+file+"; nft flush ruleset; nft -f "+file)
	next()
	require.Equal(t, whole, listing())

	silent(t, web.PID, "tcp", netip.AddrPortFrom(more.Addr, 80).String())

	refused := func(why string) {
		t.Helper()
		before := listing()
		_, err := launchWired(dir, "refused", NetworkOptions{Network: []string{"default"}})
		require.EqualError(t, err, why+"; nft delete table inet stagebox removes it")
		require.Equal(t, before, listing())
	}
	sh(t, "nft list ruleset | sed 's/box, version 2/box, version 9/' >"+file+"; nft flush ruleset; nft -f "+file)
	refused("table inet stagebox was made by a newer box (version 9): use that one")
	more.end(t)
	require.NoError(t, dir.remove(other.Name, false))
	sh(t, "nft flush ruleset; nft add table inet stagebox; nft add chain inet stagebox forward '{ type nat hook prerouting priority 7; }'")
	refused("table inet stagebox was made by another program")
	sh(t, "nft delete table inet stagebox")
	next = func() { startWired(t, dir, "next", NetworkOptions{Network: []string{"default"}}).end(t) }
	next()
	web.end(t)
}

// testChosenPort leaves few ports to choose from, most of them taken for IPv6 alone.
func testChosenPort(t *testing.T, dir networks) {
	const ports = "/proc/sys/net/ipv4/ip_local_port_range"
	old, err := os.ReadFile(ports)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ports, []byte("40000 40007"), 0))
	defer func() { require.NoError(t, os.WriteFile(ports, old, 0)) }()
	var taken []io.Closer
	defer func() {
		for _, c := range taken {
			c.Close()
		}
	}()
	for port := 40000; port < 40007; port++ {
		stream, err := net.Listen("tcp6", fmt.Sprintf("[::]:%d", port))
		require.NoError(t, err)
		packets, err := net.ListenPacket("udp6", fmt.Sprintf("[::]:%d", port))
		require.NoError(t, err)
		taken = append(taken, stream, packets)
	}
	for _, proto := range []string{"tcp", "udp"} {
		m := portmap.Mapping{Protocol: proto, Container: 80}
		list, err := listen(&m, ipam.Lease{Addr: netip.MustParseAddr("192.0.2.1")}, dir)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, uint16(40007), m.Host)
		proxy.CloseAll(list)
		m = portmap.Mapping{Protocol: proto, Host: 40003, Container: 80}
		_, err = listen(&m, ipam.Lease{}, dir)
		require.ErrorContains(t, err, "port 40003/"+proto+" of the host is in use")
	}
	last, err := net.Listen("tcp6", "[::]:40007")
	require.NoError(t, err)
	taken = append(taken, last)
	m := portmap.Mapping{Protocol: "tcp", Container: 80}
	_, err = listen(&m, ipam.Lease{}, dir)
	require.ErrorContains(t, err, "no port of the host is free for both")
}

// testRemovedMeanwhile has networks removed all the time, while containers come and go: none of
// these fails, and each has a way out.
func testRemovedMeanwhile(t *testing.T) {
	dir := networksIn(t.TempDir())
	done, removed := make(chan struct{}), make(chan int)
	go func() {
		count := 0
		for {
			select {
			case <-done:
				removed <- count
				return
			default:
			}
			for _, name := range []string{defaultNetwork, "other"} {
				if dir.remove(name, false) == nil {
					count++
				}
			}
			newNetwork(dir, "other", netip.Prefix{}, false)
		}
	}()
	for range 20 {
		c, err := launchWired(dir, "passing", NetworkOptions{Network: []string{"default"}})
		require.NoError(t, err)
		says(t, c.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
		(&wired{c.link, c.Process}).end(t)
	}
	close(done)
	require.Positive(t, <-removed, "this check would not see anything")
	dir.remove(defaultNetwork, false)
	dir.remove("other", false)
}

func testPicture(t *testing.T, dir networks) {
	c := startWired(t, dir, "a<b", NetworkOptions{Publish: []string{"8080:80", "127.0.0.1:8081:81/udp"}})
	p, err := dir.picture(c.network)
	require.NoError(t, err)
	for _, want := range []string{"bridge " + c.network.Bridge + "  10.201.0.1/16", c.veth, "a<b", "eth0 10.201.0.2", "tcp *:8080 -> 80", "udp 127.0.0.1:8081 -> 81", "masquerade: from 10.201.0.0/16"} {
		require.Contains(t, p.Text(), want)
	}
	require.Contains(t, sh(t, "ip -br link show master "+c.network.Bridge), p.Containers[len(p.Containers)-1].Link)
	require.Contains(t, p.SVG(), "a&lt;b")
	require.NoError(t, xml.Unmarshal([]byte(p.SVG()), new(struct{})))
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	p, err = dir.picture(c.network)
	require.NoError(t, err)
	require.Contains(t, p.Text(), "ip_forward is 0: no way out")
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
}

// TestTwoStores has boxes of two stores share the table, each at the worst moment of the other.
func TestTwoStores(t *testing.T) {
	boxtest.Turn(t, 1, 2)
	needs(t, "ip", "nft", "nsenter")
	if _, here := onOwnHost(t); !here {
		return
	}
	first, second := networksIn(t.TempDir()), networksIn(t.TempDir())
	inRules := func() string { return sh(t, "nft list table inet stagebox 2>&1 || :") }
	online := func(c *wired) {
		t.Helper()
		says(t, c.PID, "tcp", "198.18.0.2:80", "outside 198.18.0.1:")
		require.Contains(t, inRules(), c.network.Bridge)
	}

	// The table goes after the second store's box has seen it.
	startWired(t, first, "before", NetworkOptions{Network: []string{"default"}}).end(t)
	var removed error
	beforeStart = func() { removed = first.remove(defaultNetwork, false) }
	c, err := launchWired(second, "between", NetworkOptions{Network: []string{"default"}})
	beforeStart = func() {}
	require.NoError(t, removed)
	require.NoError(t, err)
	between := &wired{c.link, c.Process}
	t.Cleanup(func() { between.end(t) })
	online(between)

	// Another network comes after a box has seen that its own is the last one.
	generation, err := nat.Generation()
	require.NoError(t, err)
	other := startWired(t, first, "other", NetworkOptions{Network: []string{"default"}})
	require.ErrorIs(t, sendNatUnless(generation, natTable.Delete()), unix.ERESTART)
	online(other)
	between.end(t)
	require.NoError(t, second.remove(defaultNetwork, false))
	online(other)
	other.end(t)
	require.NoError(t, first.remove(defaultNetwork, false))
	require.NotContains(t, inRules(), "chain")
}

func TestDroppersAreSeen(t *testing.T) {
	boxtest.Slow(t)
	needs(t, "nft", "ip", "nsenter")
	if _, here := onOwnHost(t); !here {
		return
	}
	found, err := blockingChains()
	require.NoError(t, err)
	require.Empty(t, found)
	sh(t, "nft add table ip filter; nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'; nft add chain ip filter MINE '{ type filter hook forward priority 1; policy accept; }'")
	found, err = blockingChains()
	require.NoError(t, err)
	require.Equal(t, "[ip filter FORWARD]", fmt.Sprint(found))
	dir := networksIn(t.TempDir())
	c := startWired(t, dir, "web", NetworkOptions{Network: []string{"default"}})
	require.Len(t, c.Notes, 1)
	require.Contains(t, c.Notes[0], "(chain ip filter FORWARD)")
	silent(t, c.PID, "tcp", "198.18.0.2:80")
	sh(t, "nft add rule ip filter FORWARD iifname "+c.network.Bridge+" accept; nft add rule ip filter FORWARD oifname "+c.network.Bridge+" accept") // as advised
	says(t, c.PID, "tcp", "198.18.0.2:80", "outside ")
	c.end(t)
	require.NoError(t, dir.remove("bridge", false))
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	require.NoError(t, err)
	require.Equal(t, "1\n", string(forward), "others rely on it")
}

// TestManyAtOnce has containers come and go at the same time.
func TestManyAtOnce(t *testing.T) {
	boxtest.Slow(t)
	needs(t, "ip", "nft", "nsenter")
	if _, here := onOwnHost(t); !here {
		return
	}
	dir := networksIn(t.TempDir())
	self, err := os.Executable()
	require.NoError(t, err)
	addresses := make(chan string, 20)
	for i := range 20 {
		go func() {
			runtime.LockOSThread()
			c, err := launchWired(dir, fmt.Sprintf("c%d", i), NetworkOptions{Publish: []string{"80"}})
			if err != nil {
				addresses <- err.Error()
				return
			}
			addresses <- c.Addr.String()
			select {} // the container lives as long as its thread
		}()
	}
	var all []string
	for range 20 {
		all = append(all, <-addresses)
	}
	slices.Sort(all)
	require.Len(t, slices.Compact(all), 20, "%v %s", all, self)
	for _, a := range all {
		require.Regexp(t, `^10\.201\.0\.\d+$`, a)
	}
}

// firstUnprivilegedPort is the first that the host lets everyone take: some hosts have 0.
func firstUnprivilegedPort(t *testing.T) int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	require.NoError(t, err)
	first, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return first
}

// TestOwnNetwork is an ordinary user's, and so is run by one.
func TestOwnNetwork(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("for an ordinary user: root has a bridge")
	}
	dir := networksIn(t.TempDir())
	_, err := launchWired(dir, "x", NetworkOptions{Network: []string{"bridge"}})
	require.ErrorContains(t, err, "only root may make a bridge")
	if first := firstUnprivilegedPort(t); first > 1 {
		_, err = launchWired(dir, "x", NetworkOptions{Publish: []string{fmt.Sprintf("%d:80", first-1)}})
		require.Error(t, err)
	}
	_, pasta := exec.LookPath("pasta")
	_, slirp := exec.LookPath("slirp4netns")
	if pasta != nil && slirp != nil {
		_, err := findUserStack([]portmap.Mapping{{Protocol: "tcp", Host: 8080, Container: 80}})
		require.ErrorContains(t, err, "neither is installed")
		t.Skip("neither pasta nor slirp4netns is installed")
	}
	if pasta != nil {
		c := startWired(t, dir, "web", NetworkOptions{Network: []string{"default"}})
		require.NotNil(t, c.stack)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	c := startWired(t, dir, "web", NetworkOptions{Publish: []string{fmt.Sprintf("%d:80", port)}})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	require.Eventually(t, func() bool { return strings.HasPrefix(talk("tcp", addr, time.Second), "web ") }, time.Minute, 20*time.Millisecond)
	require.Equal(t, "nameserver 169.254.0.53\n", dns.WithNameservers("", c.stack.DNS()))
	child, err := exec.Command("pgrep", "-P", strconv.Itoa(os.Getpid()), "pasta|passt").Output()
	require.NoError(t, err)
	stack, err := strconv.Atoi(strings.TrimSpace(string(child)))
	require.NoError(t, err)
	c.end(t)
	require.Empty(t, talk("tcp", addr, time.Second))
	require.Equal(t, unix.ESRCH, unix.Kill(stack, 0))
}

// TestIPv6IsOffForNewLinks has a host on which only those that are there speak it.
func TestIPv6IsOffForNewLinks(t *testing.T) {
	boxtest.Slow(t)
	needs(t, "ip", "nsenter")
	outside, here := onOwnHost(t)
	if !here {
		return
	}
	dir := networksIn(t.TempDir())
	before, err := newNetwork(dir, "before", netip.Prefix{}, false)
	require.NoError(t, err)
	require.True(t, before.Subnet6.IsValid())
	sh(t, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
	for _, network := range []string{"before", "bridge"} {
		c := startWired(t, dir, network, NetworkOptions{Network: []string{network}, Publish: []string{"8080:80"}})
		require.False(t, c.lease.Addr6.IsValid())
		says(t, outside, "tcp", "198.18.0.1:8080", network+" ")
		c.end(t)
	}
}

// TestStraceOfAWiredRunAgrees holds what is told of a bridge, a cable and ports against
// strace. Of netlink messages that are their sizes, types, order and answers: what they say
// is asked of ip and nft by the tests above.
func TestStraceOfAWiredRunAgrees(t *testing.T) {
	boxtest.Turn(t, 0, 2)
	needs(t, "ip", "nsenter")
	if _, here := onOwnHost(t); !here {
		return
	}
	t.Setenv("BOX_ROOT", t.TempDir())
	stderr, calls := traced(t, "", "run", "--explain", "--network", "bridge", "-p", "8080:80", "/bin/true")
	host, inside := narrated(t, stderr)
	pid := resultOf(t, host, "clone3")
	agree(t, inside, calls, pid)
	sent := typesOnly(host)
	for _, list := range calls {
		typesOnly(list)
	}
	require.Equal(t, 5, sent, "bridge, its addresses, rules, cable, its addresses")
	hostAgrees(t, host, calls, pid)
}

// typesOnly leaves the types of netlink messages: strace does not always know which protocol
// a socket is for, and shows numbers and bytes then. It tells how many datagrams were sent.
func typesOnly(list []told) (sent int) {
	for i, c := range list {
		m := netlinkCall.FindStringSubmatch(c.call)
		if m == nil {
			continue
		}
		types := messageType.FindAllStringSubmatch(m[3], -1)
		if m[2] == "recvfrom" {
			types = types[:1] // an answer repeats the header of what it is to
		} else {
			sent++
		}
		list[i].call = m[1]
		for _, kind := range types {
			list[i].call += cmp.Or(typeNumbers[kind[1]], kind[1]) + ", "
		}
		list[i].call += strings.Join(regexp.MustCompile(`error=\w+`).FindAllString(m[3], 1), "") + m[4]
	}
	return sent
}

var (
	netlinkCall = regexp.MustCompile(`^((sendto|recvfrom)\(\d+, )(.*nlmsg_type=.*)(, \d+, 0, NULL, \w+\))$`)
	messageType = regexp.MustCompile(`nlmsg_type=(?:NFNL_SUBSYS_NFTABLES<<8\|)?(\w+)`)
	typeNumbers = map[string]string{"RTM_NEWLINK": "0x10", "RTM_NEWADDR": "0x14", "RTM_NEWROUTE": "0x18",
		"NFNL_MSG_BATCH_BEGIN": "0x10", "NFNL_MSG_BATCH_END": "0x11", "NFT_MSG_NEWTABLE": "0xa00", "NFT_MSG_NEWSET": "0xa09",
		"NFT_MSG_NEWCHAIN": "0xa03", "NFT_MSG_DELRULE": "0xa08", "NFT_MSG_NEWRULE": "0xa06", "NFT_MSG_NEWSETELEM": "0xa0c"}
)

// TestRecordOfOneNetwork: a container that an older box has made is still there.
func TestRecordOfOneNetwork(t *testing.T) {
	for text, names := range map[string]ipam.Names{
		`{"Network": "red"}`: {"red"}, `{"Network": ""}`: {}, `{"Network": ["a", "b"]}`: {"a", "b"}, `{}`: nil,
	} {
		path := filepath.Join(t.TempDir(), "record")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		var options NetworkOptions
		require.NoError(t, state.ReadJSON(path, &options), text)
		require.Equal(t, names, options.Network, text)
	}
}
