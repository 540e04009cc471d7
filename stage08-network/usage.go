// What a container uses, as the kernel counts it in the files of its cgroup. CPU time is a
// sum there, so a share is the difference of two readings.

package main

import (
	"path/filepath"
	"strconv"
	"time"

	"stagebox/stage01-namespaces/nslist"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage08-network/traffic"
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
	Received    int64   `json:"net_received"` // on a network of its own
	Sent        int64   `json:"net_sent"`
	Pressure    string  `json:"pressure,omitempty"` // see cgroupfs.Pressure

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
	u.Command = nslist.Command(u.PID)
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
	u.Received, u.Sent = traffic.Of(u.PID)
	dir, _ := g.dir("")
	u.Pressure = cgroupfs.Pressure(dir)
	return u
}

// readMemory leaves out the file cache that the kernel can give up at once.
func (u *Usage) readMemory(dir, current, cache, limit string) {
	used := cgroupfs.Number(filepath.Join(dir, current))
	u.Memory = used - cgroupfs.Field(filepath.Join(dir, "memory.stat"), cache)
	u.MemoryLimit = cgroupfs.Limit(filepath.Join(dir, limit))
}

// blockIO returns the bytes read from and written to all devices.
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
	return cgroupfs.BlockIO(filepath.Join(dir, file))
}
