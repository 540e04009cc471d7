package traffic

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// TestTraffic counts nothing of our own network, of a process that is not there, and of one whose
// network has loopback alone.
func TestTraffic(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cmd := exec.Command("unshare", "-r", "-n", "cat")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	for _, pid := range []int{os.Getpid(), 1 << 30, cmd.Process.Pid} {
		received, sent := Of(pid)
		require.Zero(t, received+sent, pid)
	}
	require.NoError(t, stdin.Close())
	cmd.Wait()
}

// TestLinks: each count lies between those that ip(8) shows before and after.
func TestLinks(t *testing.T) {
	cmd := exec.Command("unshare", "-r", "-n", "sh", "-c", `ip link add traffic0 type veth peer name traffic1 &&
		ip link set traffic0 up && ip link set traffic1 up && ip address add 10.11.12.1/24 dev traffic0 &&
		{ ping -q -c 1 -W 1 10.11.12.2; echo ready; cat; }`)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer stdin.Close()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
	}
	if lines.Text() != "ready" {
		t.Skip("no link can be made here")
	}
	before, counts, after := shown(t, cmd.Process.Pid), Links(cmd.Process.Pid), shown(t, cmd.Process.Pid)
	require.Len(t, counts, 2)
	require.NotContains(t, counts, "lo")
	require.NotZero(t, counts["traffic0"]["tx_packets"])
	for name, count := range counts["traffic0"] {
		direction, kind, _ := strings.Cut(name, "_")
		require.LessOrEqual(t, before[direction][kind], count, name)
		require.GreaterOrEqual(t, after[direction][kind], count, name)
	}
	require.Len(t, counts["traffic0"], 8)
}

// shown is what ip(8) counts of the link traffic0.
func shown(t *testing.T, pid int) map[string]map[string]int64 {
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(pid), "-U", "-n", "--preserve-credentials",
		"ip", "-j", "-s", "link", "show", "traffic0").Output()
	require.NoError(t, err)
	var links []struct {
		Stats64 map[string]map[string]int64
	}
	require.NoError(t, json.Unmarshal(out, &links))
	return links[0].Stats64
}
