// box stats shows what the kernel counted for each container: files of its cgroup, read
// once a second. CPU time is a sum there, so a share is the difference of two readings.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

type statsCmd struct {
	PIDs []target `arg:"" optional:"" name:"container" help:"Containers to show, or processes in them; all of box's containers without."`

	NoStream bool   `help:"Print once, not every second."`
	Format   string `help:"table, or json: an object a line and container." enum:"table,json" default:"table"`

	Store
}

// Usage is what a container uses, in bytes where nothing else is said. A limit of 0 means none.
type Usage struct {
	PID         int     `json:"pid"`
	Command     string  `json:"command"`
	CPU         float64 `json:"cpu_percent"` // of one CPU, since the reading before
	Memory      int64   `json:"memory"`      // without the file cache that can be given up at once
	MemoryLimit int64   `json:"memory_limit"`
	Pids        int64   `json:"pids"`
	PidsLimit   int64   `json:"pids_limit"`
	Read        int64   `json:"block_read"`
	Written     int64   `json:"block_written"`
	Pressure    string  `json:"pressure,omitempty"` // percent of time that some process waited for cpu/memory/io

	used    time.Duration // CPU time since the beginning
	at      time.Time
	history []float64
}

// Run is `box stats`.
func (c *statsCmd) Run() error {
	before, err := c.read(nil)
	if err != nil {
		return err
	}
	for {
		time.Sleep(time.Second)
		now, err := c.read(before)
		if err != nil {
			return err
		}
		if err := c.show(now); err != nil || c.NoStream {
			return err
		}
		before = now
	}
}

// read takes a reading of every container, by the name of its group.
func (c *statsCmd) read(before map[string]*Usage) (map[string]*Usage, error) {
	groups, err := c.groups()
	if err != nil {
		return nil, err
	}
	now := map[string]*Usage{}
	for _, g := range groups {
		u := g.usage()
		if u.PID == 0 {
			continue // it has ended meanwhile
		}
		if old := before[g.name]; old != nil {
			u.CPU = 100 * float64(u.used-old.used) / float64(u.at.Sub(old.at))
			u.history = append(old.history[max(0, len(old.history)-19):], u.CPU)
		}
		now[g.name] = u
	}
	return now, nil
}

// groups are those of the processes that were named, or all that box has made.
func (c *statsCmd) groups() ([]*group, error) {
	if len(c.PIDs) > 0 {
		var list []*group
		for _, t := range c.PIDs {
			pid, _, err := t.find(c.Store)
			if err != nil {
				return nil, err
			}
			g, err := groupOf(pid)
			if err != nil {
				return nil, err
			}
			list = append(list, g)
		}
		return list, nil
	}
	all, err := trees()
	if err != nil {
		return nil, err
	}
	found := map[string]*group{}
	for _, t := range all {
		filepath.WalkDir(t.mount, func(path string, d fs.DirEntry, err error) error {
			name := filepath.Base(path)
			ours, _ := filepath.Match("box-[0-9]*", name)
			switch {
			case err != nil || !d.IsDir(): // a group may end meanwhile
				return nil
			case !ours:
				return nil
			case found[name] == nil:
				found[name] = &group{name: name}
			}
			found[name].parents = append(found[name].parents, parent{t, filepath.Dir(path)})
			return fs.SkipDir
		})
	}
	return values(found), nil
}

func values(found map[string]*group) []*group {
	var list []*group
	for _, g := range found {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *group) int { return strings.Compare(a.name, b.name) })
	return list
}

// usage reads the group's files.
func (g *group) usage() *Usage {
	u := &Usage{at: time.Now()}
	for _, p := range g.parents {
		for _, pid := range words(filepath.Join(p.dir, g.name, "cgroup.procs")) {
			if n, _ := strconv.Atoi(pid); u.PID == 0 || n < u.PID {
				u.PID = n
			}
		}
	}
	u.Command = commandOf(u.PID)
	if dir, v2 := g.dir("cpu"); v2 {
		u.used = time.Duration(field(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond
	} else if dir, _ := g.dir("cpuacct"); dir != "" {
		u.used = time.Duration(number(filepath.Join(dir, "cpuacct.usage")))
	}
	if dir, v2 := g.dir("memory"); v2 {
		u.Memory = number(filepath.Join(dir, "memory.current")) - field(filepath.Join(dir, "memory.stat"), "inactive_file")
		u.MemoryLimit = limit(filepath.Join(dir, "memory.max"))
	} else if dir != "" {
		u.Memory = number(filepath.Join(dir, "memory.usage_in_bytes")) - field(filepath.Join(dir, "memory.stat"), "total_inactive_file")
		u.MemoryLimit = limit(filepath.Join(dir, "memory.limit_in_bytes"))
	}
	if dir, _ := g.dir("pids"); dir != "" {
		u.Pids, u.PidsLimit = number(filepath.Join(dir, "pids.current")), limit(filepath.Join(dir, "pids.max"))
	}
	u.Read, u.Written = g.blockIO()
	u.Pressure = g.pressure()
	return u
}

// limit is the number in a file; 0 when the file says, in either version's way, that there is none.
func limit(path string) int64 {
	if n := number(path); n > 0 && n < 1<<60 {
		return n
	}
	return 0
}

// blockIO adds up what was read from and written to all devices: in io.stat
// "8:0 rbytes=1 wbytes=2 …", in version 1 "8:0 Read 1" and "8:0 Write 2".
func (g *group) blockIO() (read, written int64) {
	dir, v2 := g.dir("io")
	file := "io.stat"
	if !v2 {
		dir, _ = g.dir("blkio")
		file = "blkio.throttle.io_service_bytes"
	}
	if dir == "" {
		return 0, 0
	}
	list := words(filepath.Join(dir, file))
	for i, word := range list {
		name, value, _ := strings.Cut(word, "=")
		if !v2 && i+1 < len(list) {
			value = list[i+1]
		}
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "rbytes", "Read":
			read += n
		case "wbytes", "Write":
			written += n
		}
	}
	return read, written
}

// pressure is how much of the last ten seconds some process waited for CPU, memory and
// block IO, in percent; empty where the kernel does not count it (PSI).
func (g *group) pressure() string {
	dir, _ := g.dir("")
	var list []string
	for _, what := range []string{"cpu", "memory", "io"} {
		if w := words(filepath.Join(dir, what+".pressure")); len(w) > 1 {
			list = append(list, strings.TrimPrefix(w[1], "avg10="))
		}
	}
	return strings.Join(list, "/")
}

// show prints the readings; a table on a terminal is written over the one before.
func (c *statsCmd) show(now map[string]*Usage) error {
	var list []*Usage
	for _, u := range now {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *Usage) int { return a.PID - b.PID })
	if c.Format == "json" {
		out := json.NewEncoder(os.Stdout)
		for _, u := range list {
			if err := out.Encode(u); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil && !c.NoStream {
		fmt.Print("\x1b[?7l\x1b[H\x1b[J") // lines too long for it are cut, not broken
		defer fmt.Print("\x1b[?7h")
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\tCOMMAND\tCPU\tLATELY\tMEMORY / LIMIT\tPIDS / LIMIT\tREAD / WRITTEN\tWAITED cpu/mem/io")
	for _, u := range list {
		fmt.Fprintf(table, "%d\t%.20s\t%.1f%%\t%s\t%s / %s\t%d / %s\t%s / %s\t%s\n", u.PID, u.Command, u.CPU, sparkline(u.history),
			human(u.Memory), orNone(u.MemoryLimit, human(u.MemoryLimit)), u.Pids, orNone(u.PidsLimit, fmt.Sprint(u.PidsLimit)),
			human(u.Read), human(u.Written), u.Pressure)
	}
	return table.Flush()
}

func orNone(limit int64, text string) string {
	if limit == 0 {
		return "none"
	}
	return text
}

// sparkline draws percentages as bars, of which the highest stands for 100 or the most seen.
func sparkline(values []float64) string {
	top := 100.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(8*max(v, 0)/top))])
	}
	return b.String()
}
