// What is written to a cgroup for each limit: start with the table in settings. cmd_limits.go has
// the flags, whose values are as for Docker.

package main

import (
	"fmt"
	"math"
	"strings"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

// setting is a value for a file, in version 2 and in version 1. The controller's name is
// that of version 2; in version 1 it is the first part of the file's name.
type setting struct {
	flag       string
	controller string
	v2, value2 string
	v1, value1 string
}

// isIn reports whether a tree has the setting's controller.
func (s setting) isIn(t cgroupfs.Tree) bool {
	if t.V2 {
		return has(t, s.controller)
	}
	name, _, _ := strings.Cut(s.v1, ".")
	return has(t, name)
}

// settings translates the limits that are set. The order matters where the kernel compares:
// version 1 takes a limit of memory and swap only if it is not below that of memory.
func (l *Limits) settings() ([]setting, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	var list []setting
	add := func(isSet bool, flag, controller, v2, value2, v1, value1 string) {
		if isSet {
			list = append(list, setting{flag, controller, v2, value2, v1, value1})
		}
	}
	if l.MemorySwap == 0 && l.Memory < math.MaxInt64/2 && hasSwap() {
		l.MemorySwap = 2 * l.Memory // as Docker: as much again
	}
	memory, swap, low := l.Memory.String(), l.MemorySwap.String(), l.MemoryReservation.String()
	swapAlone := (l.MemorySwap - l.Memory).String() // version 2 counts it by itself
	add(l.Memory != 0, "--memory", "memory",
		"memory.max", memory, "memory.limit_in_bytes", memory)
	add(l.Memory != 0, "--memory", "memory",
		"memory.oom.group", "1", "memory", "")
	add(l.MemorySwap > 0, "--memory-swap", "memory",
		"memory.swap.max", swapAlone, "memory.memsw.limit_in_bytes", swap)
	add(l.MemorySwap < 0, "--memory-swap", "memory",
		"memory.swap.max", "max", "memory.memsw.limit_in_bytes", "-1")
	add(l.MemoryReservation != 0, "--memory-reservation", "memory",
		"memory.low", low, "memory.soft_limit_in_bytes", low)
	quota, shares := fmt.Sprint(int64(l.CPUs)), fmt.Sprint(l.CPUShares)
	add(l.CPUs != 0, "--cpus", "cpu",
		"cpu.max", quota+" 100000", "cpu.cfs_quota_us", quota)
	add(l.CPUShares != 0, "--cpu-shares", "cpu",
		"cpu.weight", fmt.Sprint(l.CPUShares.V2()), "cpu.shares", shares)
	add(l.CPUSetCPUs != "", "--cpuset-cpus", "cpuset",
		"cpuset.cpus", l.CPUSetCPUs, "cpuset.cpus", l.CPUSetCPUs)
	pids := strings.Replace(fmt.Sprint(l.PidsLimit), "-1", "max", 1)
	add(l.PidsLimit != 0, "--pids-limit", "pids", "pids.max", pids, "pids.max", pids)
	return append(list, l.throttles()...), nil
}

// unlimited are the settings that lift a limit which was set before, by its flag.
var unlimited = map[string]setting{
	"memory": {"--memory", "memory", "memory.max", "max", "memory.limit_in_bytes", "-1"},
	"memory-reservation": {"--memory-reservation", "memory",
		"memory.low", "0", "memory.soft_limit_in_bytes", "-1"},
	"cpus":       {"--cpus", "cpu", "cpu.max", "max 100000", "cpu.cfs_quota_us", "-1"},
	"cpu-shares": {"--cpu-shares", "cpu", "cpu.weight", "100", "cpu.shares", "1024"},
	"pids-limit": {"--pids-limit", "pids", "pids.max", "max", "pids.max", "max"},
}

// throttles translates the limits of block devices, of which there may be several.
func (l *Limits) throttles() []setting {
	var list []setting
	add := func(flag, v2, v1 string, limits []units.Throttle) {
		for _, t := range limits {
			list = append(list, setting{flag, "io",
				"io.max", fmt.Sprintf("%s %s=%d", t.Device, v2, t.Rate),
				"blkio.throttle." + v1 + "_device", fmt.Sprintf("%s %d", t.Device, t.Rate)})
		}
	}
	add("--device-read-bps", "rbps", "read_bps", l.DeviceReadBps)
	add("--device-write-bps", "wbps", "write_bps", l.DeviceWriteBps)
	add("--device-read-iops", "riops", "read_iops", l.DeviceReadIOps)
	add("--device-write-iops", "wiops", "write_iops", l.DeviceWriteIOps)
	return list
}

// hasSwap reports whether the host has any swap: a line of /proc/swaps after the heading.
func hasSwap() bool {
	return len(cgroupfs.Words("/proc/swaps")) > 5
}
