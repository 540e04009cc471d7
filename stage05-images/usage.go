// What a container uses, as the kernel counts it in the files of its cgroup. CPU time is a
// sum there, so a share is the difference of two readings.
package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"stagebox/stage02-cgroups/cgroupfs"
)

// Usage is what a container uses, in bytes unless noted. A limit of 0 means none.
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
	Pressure    string  `json:"pressure,omitempty"` // see group.pressure

	used    time.Duration // CPU time since the beginning
	at      time.Time
	history []float64
}

// usage reads the group's files.
func (g *group) usage() *Usage {
	u := &Usage{at: time.Now()}
	for _, p := range g.parents {
		for _, pid := range cgroupfs.Words(filepath.Join(p.dir, g.name, "cgroup.procs")) {
			if n, _ := strconv.Atoi(pid); u.PID == 0 || n < u.PID {
				u.PID = n
			}
		}
	}
	u.Command = commandOf(u.PID)
	if dir, v2 := g.dir("cpu"); v2 {
		used := cgroupfs.Field(filepath.Join(dir, "cpu.stat"), "usage_usec")
		u.used = time.Duration(used) * time.Microsecond
	} else if dir, _ := g.dir("cpuacct"); dir != "" {
		u.used = time.Duration(cgroupfs.Number(filepath.Join(dir, "cpuacct.usage")))
	}
	if dir, v2 := g.dir("memory"); v2 {
		u.readMemory(dir, "memory.current", "inactive_file", "memory.max")
	} else if dir != "" {
		u.readMemory(dir, "memory.usage_in_bytes", "total_inactive_file", "memory.limit_in_bytes")
	}
	if dir, _ := g.dir("pids"); dir != "" {
		u.Pids = cgroupfs.Number(filepath.Join(dir, "pids.current"))
		u.PidsLimit = cgroupfs.Limit(filepath.Join(dir, "pids.max"))
	}
	u.Read, u.Written = g.blockIO()
	u.Pressure = g.pressure()
	return u
}

// readMemory leaves out the file cache that the kernel can give up at once.
func (u *Usage) readMemory(dir, current, cache, limit string) {
	used := cgroupfs.Number(filepath.Join(dir, current))
	u.Memory = used - cgroupfs.Field(filepath.Join(dir, "memory.stat"), cache)
	u.MemoryLimit = cgroupfs.Limit(filepath.Join(dir, limit))
}

// blockIO adds up the bytes read from and written to all devices: in io.stat
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
	list := cgroupfs.Words(filepath.Join(dir, file))
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

// pressure is the part of the last ten seconds in which some process waited for CPU, memory
// and block IO, in percent; empty where the kernel does not count it (PSI).
func (g *group) pressure() string {
	dir, _ := g.dir("")
	var list []string
	for _, what := range []string{"cpu", "memory", "io"} {
		if w := cgroupfs.Words(filepath.Join(dir, what+".pressure")); len(w) > 1 {
			list = append(list, strings.TrimPrefix(w[1], "avg10="))
		}
	}
	return strings.Join(list, "/")
}
