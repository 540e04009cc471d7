// What is written to a cgroup for each limit: start with the table in settings. cmd_limits.go has
// the flags, whose values are as for Docker.

package main

import (
	"fmt"
	"strings"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

// setting is what a flag writes, in version 2 and in version 1. The controller's name is that of
// version 2; in version 1 it is the first part of the file's name.
type setting struct {
	flag       string
	controller string
	v2, v1     file
}

// file is a file of a group and the value for it.
type file struct{ name, value string }

// isIn reports whether a tree has the setting's controller.
func (s setting) isIn(t cgroupfs.Tree) bool {
	if t.V2 {
		return has(t, s.controller)
	}
	name, _, _ := strings.Cut(s.v1.name, ".")
	return has(t, name)
}

// settings translates the limits that are set. The order matters where the kernel compares:
// version 1 takes a limit of memory and swap only if it is not below that of memory.
func (l *Limits) settings() []setting {
	var list []setting
	add := func(isSet bool, flag, controller string, v2, v1 file) {
		if isSet {
			list = append(list, setting{flag, controller, v2, v1})
		}
	}
	memory, swap, low := l.Memory.String(), l.MemorySwap.String(), l.MemoryReservation.String()
	swapAlone := (l.MemorySwap - l.Memory).String() // version 2 counts it by itself
	add(l.Memory != 0, "--memory", "memory",
		file{"memory.max", memory}, file{"memory.limit_in_bytes", memory})
	add(l.Memory != 0, "--memory", "memory",
		file{"memory.oom.group", "1"}, file{"memory", ""})
	add(l.MemorySwap > 0, "--memory-swap", "memory",
		file{"memory.swap.max", swapAlone}, file{"memory.memsw.limit_in_bytes", swap})
	add(l.MemorySwap < 0, "--memory-swap", "memory",
		file{"memory.swap.max", "max"}, file{"memory.memsw.limit_in_bytes", "-1"})
	add(l.MemoryReservation != 0, "--memory-reservation", "memory",
		file{"memory.low", low}, file{"memory.soft_limit_in_bytes", low})
	quota, shares := fmt.Sprint(int64(l.CPUs)), fmt.Sprint(l.CPUShares)
	add(l.CPUs != 0, "--cpus", "cpu",
		file{"cpu.max", quota + " 100000"}, file{"cpu.cfs_quota_us", quota})
	add(l.CPUShares != 0, "--cpu-shares", "cpu",
		file{"cpu.weight", fmt.Sprint(l.CPUShares.V2())}, file{"cpu.shares", shares})
	add(l.CPUSetCPUs != "", "--cpuset-cpus", "cpuset",
		file{"cpuset.cpus", l.CPUSetCPUs}, file{"cpuset.cpus", l.CPUSetCPUs})
	period, most := fmt.Sprint(l.CPUPeriod), strings.Replace(fmt.Sprint(l.CPUQuota), "-1", "max", 1)
	add(l.CPUPeriod != 0, "--cpu-period", "cpu", // a quota alone keeps the period
		file{"cpu.max", "max " + period}, file{"cpu.cfs_period_us", period})
	add(l.CPUQuota != 0, "--cpu-quota", "cpu",
		file{"cpu.max", most}, file{"cpu.cfs_quota_us", fmt.Sprint(l.CPUQuota)})
	add(l.CPUSetMems != "", "--cpuset-mems", "cpuset",
		file{"cpuset.mems", l.CPUSetMems}, file{"cpuset.mems", l.CPUSetMems})
	pids := strings.Replace(fmt.Sprint(l.PidsLimit), "-1", "max", 1)
	add(l.PidsLimit != 0, "--pids-limit", "pids", file{"pids.max", pids}, file{"pids.max", pids})
	add(l.MemorySwappiness != nil, "--memory-swappiness", "memory", file{}, // version 2 has none
		file{"memory.swappiness", l.MemorySwappiness.String()})
	return append(list, l.throttles()...)
}

// unlimited are the settings that lift a limit which was set before, by its flag.
var unlimited = map[string]setting{
	"memory": {"--memory", "memory",
		file{"memory.max", "max"}, file{"memory.limit_in_bytes", "-1"}},
	"memory-reservation": {"--memory-reservation", "memory",
		file{"memory.low", "0"}, file{"memory.soft_limit_in_bytes", "-1"}},
	"cpus": {"--cpus", "cpu",
		file{"cpu.max", "max 100000"}, file{"cpu.cfs_quota_us", "-1"}},
	"cpu-shares": {"--cpu-shares", "cpu",
		file{"cpu.weight", "100"}, file{"cpu.shares", "1024"}},
	"pids-limit": {"--pids-limit", "pids",
		file{"pids.max", "max"}, file{"pids.max", "max"}},
	"cpu-period": {"--cpu-period", "cpu",
		file{"cpu.max", "max 100000"}, file{"cpu.cfs_period_us", "100000"}},
	"cpu-quota": {"--cpu-quota", "cpu",
		file{"cpu.max", "max"}, file{"cpu.cfs_quota_us", "-1"}},
}

// throttles translates the limits of block devices, one for each device, and the weight.
func (l *Limits) throttles() []setting {
	var list []setting
	add := func(flag, v2, v1 string, limits []units.Throttle) {
		for _, t := range limits {
			list = append(list, setting{flag, "io",
				file{"io.max", fmt.Sprintf("%s %s=%d", t.Device, v2, t.Rate)},
				file{"blkio.throttle." + v1 + "_device", fmt.Sprintf("%s %d", t.Device, t.Rate)}})
		}
	}
	add("--device-read-bps", "rbps", "read_bps", l.DeviceReadBps)
	add("--device-write-bps", "wbps", "write_bps", l.DeviceWriteBps)
	add("--device-read-iops", "riops", "read_iops", l.DeviceReadIOps)
	add("--device-write-iops", "wiops", "write_iops", l.DeviceWriteIOps)
	if w := l.BlkioWeight; w != 0 {
		list = append(list, setting{"--blkio-weight", "io",
			file{"io.weight", fmt.Sprint(w.V2())}, file{"blkio.bfq.weight", fmt.Sprint(w)}})
	}
	return list
}
