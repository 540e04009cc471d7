// Why a container was killed when memory ran out: the cgroup counts the kills, and the kernel's log
// (kmsg, see proc(5)) names the process.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

// reportOOM prints that a process of the group was killed when its memory was used up.
func (g *group) reportOOM() {
	for _, p := range g.parents {
		if !p.V2 && !has(p.Tree, "memory") {
			continue
		}
		dir := filepath.Join(p.dir, g.name)
		kills, peak := "memory.oom_control", "memory.max_usage_in_bytes"
		limit := "memory.limit_in_bytes"
		if p.V2 {
			kills, peak, limit = "memory.events", "memory.peak", "memory.max"
		}
		if cgroupfs.Field(filepath.Join(dir, kills), "oom_kill") == 0 {
			continue
		}
		g.oomKilled = true
		most := cgroupfs.Number(filepath.Join(dir, limit))
		used := cgroupfs.Number(filepath.Join(dir, peak))
		if used < 0 { // memory.peak is there since Linux 5.19
			used = most
		}
		victim := oomVictim(strings.TrimPrefix(dir, p.Mount))
		fmt.Fprintf(os.Stderr, "box: the kernel killed the container's process %s: "+
			"it used %s of %s\n", victim, units.FormatSize(used), units.FormatSize(most))
	}
}

// oomVictim returns the pid on the host and the name of the process that was last killed in a
// cgroup.
func oomVictim(cgroup string) string {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "(the kernel's log, which only root may read, says which)"
	}
	defer unix.Close(fd)
	line := regexp.MustCompile(`oom-kill:.*oom_memcg=([^,]*),.*task=(.*),pid=(\d+),`)
	found, buf := "(the kernel's log does not say which)", make([]byte, 8192)
	for {
		n, err := unix.Read(fd, buf) // a record at a time
		if err == unix.EPIPE {       // records were overwritten before we came to them
			continue
		}
		if err != nil || n == 0 {
			return found
		}
		if m := line.FindStringSubmatch(string(buf[:n])); m != nil && m[1] == cgroup {
			found = m[3] + " (" + m[2] + ")"
		}
	}
}
