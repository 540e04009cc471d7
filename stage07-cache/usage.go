// What a container uses, as the kernel counts it in the files of its cgroup. CPU time is a
// sum there, so a share is the difference of two readings.
package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

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
