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

// reportOOM prints that a process of the group was killed because memory was used up.
func (g *group) reportOOM() {
	for _, p := range g.parents {
		if !p.V2 && !has(p.Tree, "memory") {
			continue
		}
		dir := filepath.Join(p.dir, g.name)
		file := map[bool]string{true: "memory.events", false: "memory.oom_control"}[p.V2]
		if cgroupfs.Field(filepath.Join(dir, file), "oom_kill") == 0 {
			continue
		}
		g.oomKilled = true
		victim := oomVictim(strings.TrimPrefix(dir, p.Mount))
		fmt.Fprintf(os.Stderr, "box: the kernel killed the container's process %s: %s\n",
			victim, shortage(dir, p.V2))
	}
}

// shortage says which memory was used up: the group's own, if its limit was reached, or else that
// of a group above it or of the host.
func shortage(dir string, v2 bool) string {
	number := func(file string) int64 { return cgroupfs.Number(filepath.Join(dir, file)) }
	used, most := number("memory.max_usage_in_bytes"), number("memory.limit_in_bytes")
	reached := number("memory.failcnt") > 0
	if v2 {
		used, most = number("memory.peak"), number("memory.max")
		reached = cgroupfs.Field(filepath.Join(dir, "memory.events"), "oom") > 0
	}
	if !reached {
		return "the memory of a cgroup above its own, or of the host, was used up"
	}
	if used < 0 { // memory.peak is there since Linux 5.19
		used = most
	}
	return fmt.Sprintf("it used %s of %s", units.FormatSize(used), units.FormatSize(most))
}

// oomVictim returns the pid on the host and the name of the process that was last killed in a
// cgroup, or in one below it.
func oomVictim(cgroup string) string {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "(the kernel's log, which only root may read, says which)"
	}
	defer unix.Close(fd)
	line := regexp.MustCompile(`oom-kill:.*,task_memcg=([^,]*),task=(.*),pid=(\d+),`)
	found, buf := "(the kernel's log does not say which)", make([]byte, 8192)
	for {
		n, err := unix.Read(fd, buf) // a record at a time
		if err == unix.EPIPE {       // records were overwritten before we came to them
			continue
		}
		if err != nil || n == 0 {
			return found
		}
		m := line.FindStringSubmatch(string(buf[:n]))
		if m != nil && strings.HasPrefix(m[1]+"/", cgroup+"/") {
			found = m[3] + " (" + m[2] + ")"
		}
	}
}
