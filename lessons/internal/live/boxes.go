// A box is a group of processes with the same eight namespaces. Which of them it shares, and
// with whom, is found by comparing inode numbers. user_namespaces(7), pid_namespaces(7).
package live

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Namespace is one of a box's, or of the host's.
type Namespace struct {
	Kind  string   `json:"kind"`
	Inode uint64   `json:"inode"`
	Host  bool     `json:"host"`           // it is the host's
	With  []string `json:"with,omitempty"` // the other boxes in it
	Note  string   `json:"note,omitempty"` // what is in it, as far as it is seen
}

// Process is a member of a box. Inside is its number in its own PID namespace.
type Process struct {
	PID     int    `json:"pid"`
	Inside  int    `json:"inside"`
	UID     string `json:"uid"` // as the host sees it
	Command string `json:"command"`
	Depth   int    `json:"depth"` // below the first of its ancestors in this box
}

// Walls is what the first process of a box may still do: capabilities(7), seccomp(2).
type Walls struct {
	Capabilities int    `json:"capabilities"` // how many it has, of some forty
	Seccomp      string `json:"seccomp"`      // "none", "strict", "filter" or "" where it is not seen
	NoNewPrivs   bool   `json:"noNewPrivs"`
}

// group is the processes of a box while a snapshot is taken.
type group struct {
	id     string
	spaces spaces
	pids   []int                     // the oldest first
	status map[int]map[string]string // of the first ones
	outer  *group                    // the box whose process made this one
}

const listed = 40 // processes of a box

// groups puts together what is in the same namespaces. The host's processes are left out, and
// kernel threads, some of which have namespaces of their own.
func (r Roots) groups(t table) (all []*group) {
	found := map[spaces]*group{}
	for _, p := range t.seen {
		if p.spaces == t.host.spaces {
			continue
		}
		if found[p.spaces] == nil {
			found[p.spaces] = &group{id: name(p.spaces), spaces: p.spaces}
		}
		found[p.spaces].pids = append(found[p.spaces].pids, p.pid)
	}
	age := map[*group]int64{}
	for _, g := range found {
		age[g] = r.byAge(g.pids)
		if r.program(g.pids[0]) {
			g.status = r.statuses(g.pids[:min(listed, len(g.pids))])
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b *group) int { return cmp.Or(cmp.Compare(age[a], age[b]), cmp.Compare(a.pids[0], b.pids[0])) })
	for _, g := range all {
		g.outer = g.madeBy(all)
	}
	return all
}

// byAge sorts processes by when they began, which is not the order of numbers once these have
// started over. It returns when the first began, in ticks since boot.
func (r Roots) byAge(pids []int) int64 {
	began := map[int]int64{}
	for _, pid := range pids {
		if f := r.stat(pid); len(f) > 19 {
			began[pid] = number(f[19])
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return cmp.Or(cmp.Compare(began[a], began[b]), cmp.Compare(a, b)) })
	return began[pids[0]]
}

// name of a set of namespaces.
func name(s spaces) string {
	sum := fnv.New64a()
	fmt.Fprint(sum, s)
	return fmt.Sprintf("%x", sum.Sum64())
}

// program is false for kernel threads, which have no memory of their own, and for what has
// just ended.
func (r Roots) program(pid int) bool {
	return r.status(pid)["VmSize"] != ""
}

func (r Roots) statuses(pids []int) map[int]map[string]string {
	all := map[int]map[string]string{}
	for _, pid := range pids {
		all[pid] = r.status(pid)
	}
	return all
}

// parent of a process, if its status was read.
func (g *group) parent(pid int) int {
	n, _ := strconv.Atoi(g.status[pid]["PPid"])
	return n
}

// madeBy is the group of the first process's parent, when that is neither this one nor the host.
func (g *group) madeBy(all []*group) *group {
	parent := g.parent(g.pids[0])
	for _, other := range all {
		if other != g && slices.Contains(other.pids, parent) {
			return other
		}
	}
	return nil
}

// family are the boxes that were made inside one, and it.
func (g *group) family(all []*group) family {
	f := family{map[int]bool{}, map[spaces]bool{}}
	for _, other := range all {
		ancestor := other
		for range all { // no deeper than there are groups
			if ancestor != nil && ancestor != g {
				ancestor = ancestor.outer
			}
		}
		if ancestor != g {
			continue
		}
		f.spaces[other.spaces] = true
		for _, pid := range other.pids {
			f.pids[pid] = true
		}
	}
	return f
}

// family is whose processes may be in a control group that is called a box's own.
type family struct {
	pids   map[int]bool
	spaces map[spaces]bool
}

// has a process, which may have begun or ended after the table was read.
func (f family) has(r Roots, pid int) bool {
	if f.pids[pid] {
		return true
	}
	s, err := r.spaces(strconv.Itoa(pid))
	return errors.Is(err, fs.ErrNotExist) || err == nil && f.spaces[s]
}

// box describes a group, apart from its files, limits and network.
func (r Roots) box(g *group, host process, all []*group) Box {
	first := g.pids[0]
	box := Box{ID: g.id, PID: first, Command: r.command(g, first), Walls: walls(g.status[first]), Unlisted: max(0, len(g.pids)-listed)}
	if g.outer != nil {
		box.Inside = g.outer.id
	}
	for i, kind := range kinds {
		if g.spaces[i] == 0 {
			continue
		}
		n := Namespace{Kind: kind, Inode: g.spaces[i], Host: g.spaces[i] == host.spaces[i]}
		for _, other := range all {
			if other != g && other.spaces[i] == g.spaces[i] && !n.Host {
				n.With = append(n.With, other.id)
			}
		}
		if !n.Host {
			n.Note = r.note(i, g)
		}
		box.Namespaces = append(box.Namespaces, n)
	}
	box.Processes = r.tree(g)
	return box
}

// note is what a process shows of its namespace without being entered.
func (r Roots) note(kind int, g *group) string {
	pid := strconv.Itoa(g.pids[0])
	switch kind {
	case pidNS:
		return fmt.Sprintf("process %s of the host is %d inside", pid, inside(g.status[g.pids[0]]))
	case userNS:
		return mapped(r.lines(pid, "uid_map"))
	case mnt:
		return fmt.Sprintf("%d mounts", len(r.lines(pid, "mountinfo")))
	case timeNS:
		return strings.Join(offsets(r.lines(pid, "timens_offsets")), ", ")
	}
	return ""
}

// mapped parses a uid_map: 0 100000 65536 is three numbers, user inside, user outside, how many.
func mapped(lines []string) string {
	var told []string
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		text := fmt.Sprintf("user %s inside is %s", f[0], f[1])
		if f[2] != "1" {
			text += fmt.Sprintf(", and so on for %s users", f[2])
		}
		told = append(told, text)
	}
	if told == nil {
		return "no user is mapped"
	}
	return strings.Join(told, "; ")
}

// offsets are the clocks that were set apart: monotonic 3600 0 is seconds and nanoseconds.
func offsets(lines []string) (told []string) {
	for _, line := range lines {
		if f := strings.Fields(line); len(f) == 3 && (f[1] != "0" || f[2] != "0") {
			told = append(told, f[0]+" clock "+f[1]+" s off the host's")
		}
	}
	return told
}

// inside is a process's number in its own PID namespace, the last of NSpid.
func inside(status map[string]string) int {
	f := strings.Fields(status["NSpid"])
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(f[len(f)-1])
	return n
}

// command falls back to the name that a process without a command line has.
func (r Roots) command(g *group, pid int) string {
	return cmp.Or(r.commandLine(pid), g.status[pid]["Name"])
}

// tree lists processes so that each follows its parent.
func (r Roots) tree(g *group) []Process {
	list := []Process{}
	var add func(pid, depth int)
	add = func(pid, depth int) {
		uid, _, _ := strings.Cut(g.status[pid]["Uid"], "\t")
		list = append(list, Process{pid, inside(g.status[pid]), uid, r.command(g, pid), depth})
		for _, child := range g.pids {
			if g.status[child] != nil && g.parent(child) == pid && child != pid {
				add(child, depth+1)
			}
		}
	}
	for _, pid := range g.pids {
		if g.status[pid] != nil && g.status[g.parent(pid)] == nil {
			add(pid, 0)
		}
	}
	return list
}

func walls(status map[string]string) Walls {
	caps, _ := strconv.ParseUint(status["CapEff"], 16, 64)
	modes := map[string]string{"0": "none", "1": "strict", "2": "filter"}
	return Walls{bits.OnesCount64(caps), modes[status["Seccomp"]], status["NoNewPrivs"] == "1"}
}

// host describes what is not in any box.
func (r Roots) host(t table) Host {
	h := Host{Namespaces: []Namespace{}, Cores: r.cores(), Memory: r.memory()}
	for i, kind := range kinds {
		if t.host.spaces[i] != 0 {
			h.Namespaces = append(h.Namespaces, Namespace{Kind: kind, Inode: t.host.spaces[i], Host: true})
		}
	}
	for _, p := range t.seen {
		if p.spaces == t.host.spaces {
			h.Processes++
		}
	}
	return h
}
