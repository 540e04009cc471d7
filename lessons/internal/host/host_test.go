package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// TestMain lets this binary be its own probe, and examine the host as another user.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "probe" {
		leave(Self{"probe"}.Probe(os.Args[2], os.Stdin, os.Stdout))
	}
	if len(os.Args) == 2 && os.Args[1] == "examine" {
		h, err := Here(Self{"probe"})
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(h.Examine())
		}
		leave(err)
	}
	boxtest.Main(m, nil)
}

func leave(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// made is a made-up host of alice, who is not root, with files of the given contents.
func made(files map[string]string) *Host {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name[1:]] = &fstest.MapFile{Data: []byte(text), Mode: 0o755}
	}
	return &Host{
		Files:   tree,
		UID:     1000,
		Env:     func(string) string { return "" },
		Now:     time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC),
		Writes:  func(string) error { return nil },
		HasCaps: func(string) bool { return false },
	}
}

// with is a host with more files.
func (h *Host) with(files map[string]string) *Host {
	all, more := h.Files.(fstest.MapFS), made(files).Files.(fstest.MapFS)
	maps.Copy(all, more)
	return h
}

func (h *Host) root() *Host {
	h.UID = 0
	return h
}

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

var eperm = Outcome{Call: "call", Errno: unix.EPERM}
var worked = Outcome{Call: "call"}

func TestStateDir(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, map[string]string{"XDG_DATA_HOME": "/data"}, "/var/lib/stagebox"},
		{1000, map[string]string{"HOME": "/home/alice"}, "/home/alice/.local/share/stagebox"},
		{1000, map[string]string{"HOME": "/home/alice", "XDG_DATA_HOME": "/data"}, "/data/stagebox"},
		{1000, map[string]string{"HOME": "/home/alice", "XDG_DATA_HOME": "data"}, "/home/alice/.local/share/stagebox"},
		{0, map[string]string{"BOX_ROOT": "/b/"}, "/b"},
		{1000, map[string]string{"BOX_ROOT": "b", "PWD": "/home/alice"}, "/home/alice/b"},
		{1000, nil, "/.local/share/stagebox"},
	} {
		h := made(nil)
		h.UID, h.Env = c.uid, environment(c.env)
		require.Equal(t, c.want, h.StateDir(), "%v", c)
	}
}

func TestProgramMustBeExecutable(t *testing.T) {
	h := made(map[string]string{"/opt/bin/box": "", "/usr/sbin/ip": ""})
	h.Files.(fstest.MapFS)["bin/box"] = &fstest.MapFile{Mode: 0o644}
	h.Env = environment(map[string]string{"PATH": "/bin:/opt/bin"})
	require.Equal(t, "/opt/bin/box", h.program("box"))
	require.Equal(t, "/usr/sbin/ip", h.program("ip"), "an ordinary user's PATH often lacks sbin")
	require.Empty(t, h.program("bin"))
}

func TestWho(t *testing.T) {
	h := made(map[string]string{"/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n", "/proc/self/uid_map": " 0 0 4294967295"})
	require.Equal(t, "alice", h.Who())
	require.Equal(t, "root", h.root().Who())
	require.Equal(t, "root of a user namespace", h.with(map[string]string{"/proc/self/uid_map": "0 1000 1\n1 100000 65536"}).Who())
	h.UID = 77
	require.Equal(t, "77", h.Who())
}

func TestExistingEndsAtTheRoot(t *testing.T) {
	h := made(map[string]string{"/var/lib/x": ""})
	require.Equal(t, "/var/lib", h.existing("/var/lib/stagebox/layers"))
	require.Equal(t, "/", h.existing("/srv/stagebox"))
}

// Every check must be able to answer on a host about which nothing is known.
func TestChecksOnAnEmptyHost(t *testing.T) {
	for _, h := range []*Host{made(nil), made(nil).root()} {
		for _, c := range Checks {
			found := c.Look(h)
			require.Equal(t, found.State == Silent, found.Text == "", "%s: %+v", c.Name, found)
		}
	}
}

func TestAStageWaitsForItsFoundation(t *testing.T) {
	h := made(nil).root()
	h.AsRoot = Outcomes{"pivot_root": eperm}
	stages := h.Examine()
	require.Equal(t, No, stages[3].State)
	require.Equal(t, -1, stages[3].Lacks)
	require.Equal(t, No, stages[2].State, "no control groups either")
	for _, s := range stages[4:] {
		require.Equal(t, 3, s.Lacks, s.Topic)
		require.Equal(t, No, s.State)
	}
}

func TestEveryCheckHasAStage(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks {
		require.Less(t, c.Stage, len(Topics))
		require.False(t, seen[c.Name], "two checks are named %s", c.Name)
		seen[c.Name] = true
	}
}
