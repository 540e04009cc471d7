// Package live draws what exists on this machine now: containers as boxes of namespaces, with
// their processes, limits, layers and wires. Everything comes from the kernel, by proc(5) and
// sysfs(5): no runtime is asked and none of its files is read, so that containers of every
// stage and those of other runtimes look the same.
//
// The kernel has no containers. One box is drawn for a group of processes with the
// same namespaces, of which at least one is not the host's.
package live

import (
	"fmt"
	"os"
)

// Roots are the directories of the two file systems that everything is read from.
type Roots struct{ Proc, Sys string }

// Snapshot is what exists at one moment.
type Snapshot struct {
	Host     Host      `json:"host"`
	Boxes    []Box     `json:"boxes"`    // the oldest first
	Networks []Network `json:"networks"` // the host's first
	Cables   []Cable   `json:"cables"`
	Unseen   []string  `json:"unseen"` // sentences about what this user or program cannot see

	figures map[string]Figures
}

// Host is what everything is compared with.
type Host struct {
	Namespaces []Namespace `json:"namespaces"`
	Processes  int         `json:"processes"` // that are in all of the host's namespaces
	Cores      int         `json:"cores"`
	Memory     int64       `json:"memory"` // bytes
}

// Box is a group of processes with the same namespaces.
type Box struct {
	ID         string      `json:"id"` // the same as long as the box exists
	PID        int         `json:"pid"`
	Command    string      `json:"command"`
	Name       string      `json:"name,omitempty"`   // what people call it, where that is seen
	Inside     string      `json:"inside,omitempty"` // the box whose process made this one
	Namespaces []Namespace `json:"namespaces"`
	Processes  []Process   `json:"processes"` // a tree: each after its parent
	Unlisted   int         `json:"unlisted"`  // processes beyond the first 40
	Walls      Walls       `json:"walls"`
	Root       Root        `json:"root"`
	Group      Group       `json:"group"`
}

// Take looks once. Unreadable parts are left out, and listed in Unseen.
func Take(r Roots) Snapshot {
	s, _ := take(r, nil)
	return s
}

// take looks with the help of what the look before it has shown.
func take(r Roots, m memory) (Snapshot, memory) {
	table, m := r.processes(m)
	s := Snapshot{Boxes: []Box{}, Cables: []Cable{}, Unseen: r.blindness(table)}
	groups := r.groups(table)
	s.Host = r.host(table)
	mounts := r.mounts(fmt.Sprint(table.host.pid))
	trees := trees(mounts)
	s.figures = map[string]Figures{}
	for _, g := range groups {
		box := r.box(g, table.host, groups)
		box.Root = r.root(box.PID, mounts)
		var use Figures
		box.Group, use = r.account(g, g.family(groups), trees)
		box.Name = named(box.Root, box.Group.Path)
		s.Boxes = append(s.Boxes, box)
		s.figures[box.ID] = use
	}
	s.Networks = r.networks(table, groups)
	s.Cables = cables(s.Networks)
	s.traffic()
	if len(trees) == 0 {
		s.Unseen = append(s.Unseen, "No control groups are mounted here: limits are not seen, and use is added up from the processes.")
	}
	return s, m
}

// blindness says what the processes did not show.
func (r Roots) blindness(t table) []string {
	told := []string{}
	uid := os.Geteuid()
	if uid != 0 {
		told = append(told, fmt.Sprintf("This page is served by user %d. An ordinary user sees only processes of their own; root sees all.", uid))
	}
	if !t.first {
		told = append(told, "Process 1 does not show its namespaces: those of the program that serves this page stand for the host's.")
	}
	switch {
	case t.hidden == 1:
		told = append(told, "1 process does not show its namespaces and is left out.")
	case t.hidden > 1:
		told = append(told, fmt.Sprintf("%d processes do not show their namespaces and are left out.", t.hidden))
	}
	return told
}

// traffic adds what went over the wires to the figures of the boxes that they lead to.
func (s *Snapshot) traffic() {
	for _, n := range s.Networks {
		if n.Host {
			continue
		}
		for _, id := range n.Boxes {
			use := s.figures[id]
			use.Received, use.Sent = &n.received, &n.sent
			s.figures[id] = use
		}
	}
}
