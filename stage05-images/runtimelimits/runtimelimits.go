// Package runtimelimits says what the limits of linux.resources in a config.json (the OCI Runtime
// Specification, config-linux.md) are in a cgroup: which files, of version 2 and of version 1, and
// what to write to each. It writes none itself, and imports nothing that could: the lesson does.
package runtimelimits

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage02-cgroups/units"
)

// Setting is what a limit writes in either version of cgroups. The controller's name is that of
// version 2; in version 1 it is the first part of the file's name.
type Setting struct {
	Field      string // its path in config.json
	Controller string
	V2, V1     File
}

// File is a file of a cgroup and the value for it: "" if the version has no such limit.
type File struct{ Name, Value string }

// Of translates linux.resources. The settings are to be written in this order: the kernel refuses
// a limit that contradicts another, such as more memory than memory and swap together. Without
// BFQ, weights of I/O are those of io.weight, as with runc.
func Of(r *specs.LinuxResources, hasBFQ bool) []Setting {
	var list settings
	if r.Memory != nil {
		list.memory(r.Memory)
	}
	if r.CPU != nil {
		list.cpu(r.CPU)
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		most := orUnlimited(*r.Pids.Limit, "max")
		list.add("pids.limit", "pids", "pids.max", most, "pids.max", most)
	}
	if r.BlockIO != nil {
		list.blockIO(r.BlockIO, hasBFQ)
	}
	for i, page := range r.HugepageLimits {
		n := fmt.Sprint(page.Limit)
		list.add(fmt.Sprintf("hugepageLimits[%d]", i), "hugetlb", "hugetlb."+page.Pagesize+".max", n,
			"hugetlb."+page.Pagesize+".limit_in_bytes", n)
	}
	for _, file := range slices.Sorted(maps.Keys(r.Unified)) {
		controller, _, _ := strings.Cut(file, ".")
		list.add("unified["+file+"]", controller, file, r.Unified[file], "version-2.only", "")
	}
	return list
}

// settings is a list that is being made.
type settings []Setting

func (s *settings) add(field, controller, v2, value2, v1, value1 string) {
	*s = append(*s, Setting{"linux.resources." + field, controller, File{v2, value2}, File{v1, value1}})
}

// orUnlimited is a number, or the word for no limit.
func orUnlimited(n int64, word string) string {
	if n <= 0 {
		return word
	}
	return fmt.Sprint(n)
}

func (s *settings) memory(m *specs.LinuxMemory) {
	if m.Limit != nil {
		s.add("memory.limit", "memory", "memory.max", orUnlimited(*m.Limit, "max"),
			"memory.limit_in_bytes", orUnlimited(*m.Limit, "-1"))
	}
	if m.Swap != nil {
		alone := *m.Swap // version 2 counts it by itself
		if m.Limit != nil && alone > 0 {
			alone -= *m.Limit
		}
		text := fmt.Sprint(max(alone, 0))
		if *m.Swap < 0 {
			text = "max"
		}
		s.add("memory.swap", "memory", "memory.swap.max", text,
			"memory.memsw.limit_in_bytes", orUnlimited(*m.Swap, "-1"))
	}
	if m.Reservation != nil {
		s.add("memory.reservation", "memory", "memory.low", orUnlimited(*m.Reservation, "max"),
			"memory.soft_limit_in_bytes", orUnlimited(*m.Reservation, "-1"))
	}
	if m.Swappiness != nil {
		s.add("memory.swappiness", "memory", "memory.max", "", "memory.swappiness", fmt.Sprint(*m.Swappiness))
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		s.add("memory.disableOOMKiller", "memory", "memory.max", "", "memory.oom_control", "1")
	}
	//lint:ignore SA1019 what is asked for in vain is named
	if m.Kernel != nil || m.KernelTCP != nil {
		s.add("memory.kernel", "memory", "memory.max", "", "memory.kmem", "")
	}
}

func (s *settings) cpu(c *specs.LinuxCPU) {
	if c.Shares != nil && *c.Shares != 0 {
		s.add("cpu.shares", "cpu", "cpu.weight", fmt.Sprint(units.Weight(*c.Shares).V2()),
			"cpu.shares", fmt.Sprint(*c.Shares))
	}
	period, quota := uint64(100000), int64(-1)
	if c.Period != nil && *c.Period != 0 {
		period = *c.Period
		s.add("cpu.period", "cpu", "cpu.max", "max "+fmt.Sprint(period), "cpu.cfs_period_us", fmt.Sprint(period))
	}
	if c.Quota != nil && *c.Quota != 0 {
		quota = *c.Quota
		s.add("cpu.quota", "cpu", "cpu.max", orUnlimited(quota, "max")+fmt.Sprint(" ", period),
			"cpu.cfs_quota_us", orUnlimited(quota, "-1"))
	}
	if c.Burst != nil {
		s.add("cpu.burst", "cpu", "cpu.max.burst", fmt.Sprint(*c.Burst), "cpu.cfs_burst_us", fmt.Sprint(*c.Burst))
	}
	if c.RealtimePeriod != nil && *c.RealtimePeriod != 0 {
		s.add("cpu.realtimePeriod", "cpu", "cpu.max", "", "cpu.rt_period_us", fmt.Sprint(*c.RealtimePeriod))
	}
	if c.RealtimeRuntime != nil && *c.RealtimeRuntime != 0 {
		s.add("cpu.realtimeRuntime", "cpu", "cpu.max", "", "cpu.rt_runtime_us", fmt.Sprint(*c.RealtimeRuntime))
	}
	if c.Cpus != "" {
		s.add("cpu.cpus", "cpuset", "cpuset.cpus", c.Cpus, "cpuset.cpus", c.Cpus)
	}
	if c.Mems != "" {
		s.add("cpu.mems", "cpuset", "cpuset.mems", c.Mems, "cpuset.mems", c.Mems)
	}
	if c.Idle != nil {
		s.add("cpu.idle", "cpu", "cpu.idle", fmt.Sprint(*c.Idle), "cpu.idle", fmt.Sprint(*c.Idle))
	}
}

func (s *settings) blockIO(b *specs.LinuxBlockIO, hasBFQ bool) {
	name, v2 := "io.bfq.weight", func(w uint16) int64 { return int64(w) }
	if !hasBFQ {
		name, v2 = "io.weight", func(w uint16) int64 { return units.IOWeight(w).V2() }
	}
	if b.Weight != nil && *b.Weight != 0 {
		s.add("blockIO.weight", "io", name, fmt.Sprint(v2(*b.Weight)), "blkio.bfq.weight", fmt.Sprint(*b.Weight))
	}
	for _, d := range b.WeightDevice {
		if d.Weight != nil {
			at := fmt.Sprintf("%d:%d ", d.Major, d.Minor)
			s.add("blockIO.weightDevice", "io", name, at+fmt.Sprint(v2(*d.Weight)),
				"blkio.bfq.weight_device", at+fmt.Sprint(*d.Weight))
		}
	}
	throttles := func(field, v2, v1 string, list []specs.LinuxThrottleDevice) {
		for _, d := range list {
			s.add("blockIO."+field, "io", "io.max", fmt.Sprintf("%d:%d %s=%d", d.Major, d.Minor, v2, d.Rate),
				"blkio.throttle."+v1+"_device", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate))
		}
	}
	throttles("throttleReadBpsDevice", "rbps", "read_bps", b.ThrottleReadBpsDevice)
	throttles("throttleWriteBpsDevice", "wbps", "write_bps", b.ThrottleWriteBpsDevice)
	throttles("throttleReadIOPSDevice", "riops", "read_iops", b.ThrottleReadIOPSDevice)
	throttles("throttleWriteIOPSDevice", "wiops", "write_iops", b.ThrottleWriteIOPSDevice)
}
