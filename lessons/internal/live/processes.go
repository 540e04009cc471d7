// Which process is in which namespaces: the links in /proc/PID/ns (namespaces(7)). Reading a
// link needs the right to trace the process (ptrace(2)), which an ordinary user has over
// processes of their own only.
package live

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kinds of namespaces, by their names in /proc/PID/ns.
var kinds = [...]string{"mnt", "pid", "uts", "ipc", "net", "cgroup", "user", "time"}

// spaces are the inode numbers of a process's namespaces, in the order of kinds; 0 for a kind
// that the kernel does not have.
type spaces [len(kinds)]uint64

const (
	mnt = iota
	pidNS
	_
	_
	netNS
	_
	userNS
	timeNS
)

type process struct {
	pid    int
	spaces spaces
}

// table is all that can be seen of the processes.
type table struct {
	host   process // whose namespaces count as the host's
	first  bool    // and that is process 1
	seen   []process
	hidden int // processes that do not show their namespaces
}

// memory is what earlier looks have shown. Eight links of each of thousands of processes are
// most of the work of a look, and hardly any process changes its namespaces after it has
// settled. So one that showed the same for some looks is read again at each eighth only.
type memory map[int]known

type known struct {
	spaces spaces
	err    error
	looks  int // since it was new
}

const settled = 8

// recall reads the links of a process if it is time to, and keeps what they are in next.
func (m memory) recall(r Roots, pid int, next memory) known {
	k, ok := m[pid]
	k.looks++
	if !ok || k.looks < settled || (k.looks+pid)%settled == 0 {
		before := k
		if k.spaces, k.err = r.spaces(strconv.Itoa(pid)); k.spaces != before.spaces {
			k.looks = 0
		}
	}
	next[pid] = k
	return k
}

// processes reads /proc once. The host's namespaces are those of process 1, or our own where
// that does not show them. The memory that it returns is for the next look.
func (r Roots) processes(m memory) (t table, next memory) {
	entries, _ := os.ReadDir(r.Proc)
	next = memory{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		switch k := m.recall(r, pid, next); {
		case k.err == nil:
			t.seen = append(t.seen, process{pid, k.spaces})
		case errors.Is(k.err, fs.ErrPermission):
			t.hidden++
		}
	}
	t.host, t.first = r.reference()
	return t, next
}

// reference is the process whose namespaces count as the host's; first if it is process 1.
func (r Roots) reference() (host process, first bool) {
	host.pid = 1
	var err error
	if host.spaces, err = r.spaces("1"); err == nil {
		return host, true
	}
	self, _ := os.Readlink(filepath.Join(r.Proc, "self"))
	host.pid, _ = strconv.Atoi(self)
	host.spaces, _ = r.spaces("self")
	return host, false
}

// spaces reads the links of a process. One that has ended has none.
func (r Roots) spaces(pid string) (s spaces, err error) {
	dir := r.Proc + "/" + pid + "/ns/"
	for i, kind := range kinds {
		link, err := os.Readlink(dir + kind)
		if err != nil && (kind != "time" && kind != "cgroup" || !errors.Is(err, fs.ErrNotExist)) {
			return s, err
		}
		s[i] = inode(link)
	}
	return s, nil
}

// inode is the number in a link such as mnt:[4026531840].
func inode(link string) uint64 {
	_, rest, _ := strings.Cut(link, ":[")
	n, _ := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64)
	return n
}

// lines are those of a file of a process; none when it cannot be read.
func (r Roots) lines(pid, file string) []string {
	data, _ := os.ReadFile(filepath.Join(r.Proc, pid, file))
	text := strings.TrimRight(string(data), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// status are the fields of /proc/PID/status.
func (r Roots) status(pid int) map[string]string {
	fields := map[string]string{}
	for _, line := range r.lines(strconv.Itoa(pid), "status") {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

// commandLine is empty for kernel threads. Long ones are cut.
func (r Roots) commandLine(pid int) string {
	data, _ := os.ReadFile(filepath.Join(r.Proc, strconv.Itoa(pid), "cmdline"))
	const long = 160
	text := strings.ToValidUTF8(strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " "), "�")
	if letters := []rune(text); len(letters) > long {
		text = string(letters[:long]) + "…"
	}
	return text
}
