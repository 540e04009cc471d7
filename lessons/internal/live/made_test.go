package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// machine is a made-up /proc and /sys.
type machine struct {
	t   *testing.T
	dir string
}

// made has process 1 in the host's namespaces, and the cgroup trees of this mountinfo.
func made(t *testing.T, mountinfo string) *machine {
	m := &machine{t, t.TempDir()}
	m.file("proc/stat", "cpu  1 2 3\ncpu0 1 2\ncpu1 1 2\n")
	m.file("proc/meminfo", "MemTotal:       1024 kB\nMemFree: 1 kB\n")
	m.process(1, 0, "init", nil)
	m.file("proc/1/mountinfo", mountinfo)
	return m
}

func (m *machine) roots() Roots {
	return Roots{filepath.Join(m.dir, "proc"), filepath.Join(m.dir, "sys")}
}

func (m *machine) take() Snapshot { return Take(m.roots()) }

func (m *machine) file(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	require.NoError(m.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o644))
}

func (m *machine) link(name, to string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	require.NoError(m.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(m.t, os.Symlink(to, path))
}

// process makes one that began at the tick of its number. Namespaces that are not named are
// the host's, whose numbers are 1 to 8.
func (m *machine) process(pid, parent int, command string, other map[string]int) {
	m.t.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	for i, kind := range kinds {
		n := i + 1
		if own, ok := other[kind]; ok {
			n = own
		}
		m.link(dir+"ns/"+kind, fmt.Sprintf("%s:[%d]", kind, n))
	}
	m.file(dir+"cmdline", strings.ReplaceAll(command, " ", "\x00")+"\x00")
	m.file(dir+"stat", fmt.Sprintf("%d (a ) b) S %d 0 0 0 0 0 0 0 0 0 100 50 0 0 20 0 3 0 %d 0 7 0", pid, parent, pid))
	m.status(pid, fmt.Sprintf("Name:\tsh\nPPid:\t%d\nUid:\t1000\t0\t0\t0\nNSpid:\t%d\t1\nVmSize:\t1 kB\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n", parent, pid))
}

func (m *machine) status(pid int, text string) {
	m.file(fmt.Sprintf("proc/%d/status", pid), text)
}

// box is the one with a process.
func box(t *testing.T, s Snapshot, pid int) Box {
	t.Helper()
	for _, b := range s.Boxes {
		if b.PID == pid {
			return b
		}
	}
	require.Failf(t, "no such box", "no box of process %d in %+v", pid, s.Boxes)
	return Box{}
}

func (b Box) namespace(kind string) Namespace {
	for _, n := range b.Namespaces {
		if n.Kind == kind {
			return n
		}
	}
	return Namespace{}
}

func (m *machine) remove(name string) {
	require.NoError(m.t, os.RemoveAll(filepath.Join(m.dir, name)))
}
