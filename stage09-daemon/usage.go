// What a container uses, as the kernel counts it in the files of its cgroup. CPU time is a
// sum there, so a share is the difference of two readings.

package main

import (
	"path/filepath"
	"strconv"
	"time"

	"stagebox/stage01-namespaces/nslist"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/stats"
	"stagebox/stage08-network/traffic"
)

// usage reads the group's files.
func (g *group) usage() *stats.Usage {
	u := &stats.Usage{At: time.Now()}
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
		u.Used = time.Duration(used) * time.Microsecond
	} else if dir, _ := g.dir("cpuacct"); dir != "" {
		u.Used = time.Duration(cgroupfs.Number(filepath.Join(dir, "cpuacct.usage")))
	}
	if dir, v2 := g.dir("memory"); v2 {
		u.Memory, u.MemoryLimit = memory(dir, "memory.current", "inactive_file", "memory.max")
	} else if dir != "" {
		u.Memory, u.MemoryLimit = memory(dir,
			"memory.usage_in_bytes", "total_inactive_file", "memory.limit_in_bytes")
	}
	if dir, _ := g.dir("pids"); dir != "" {
		u.Pids = cgroupfs.Number(filepath.Join(dir, "pids.current"))
		u.PidsLimit = cgroupfs.Limit(filepath.Join(dir, "pids.max"))
	}
	u.Read, u.Written = g.blockIO()
	u.Network = &stats.Network{}
	u.Received, u.Sent = traffic.Of(u.PID)
	dir, _ := g.dir("")
	u.Pressure = cgroupfs.Pressure(dir)
	return u
}

// memory leaves out the file cache that the kernel can give up at once.
func memory(dir, current, cache, limit string) (used, most int64) {
	used = cgroupfs.Number(filepath.Join(dir, current))
	used -= cgroupfs.Field(filepath.Join(dir, "memory.stat"), cache)
	return used, cgroupfs.Limit(filepath.Join(dir, limit))
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
