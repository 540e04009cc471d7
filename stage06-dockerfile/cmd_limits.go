// The flags about limits and cgroups, and what box refuses before it makes anything: limits
// that contradict each other, and CPUs or devices that the host does not have.

package main

import (
	"fmt"
	"math"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
)

// Limits are what a container may use at most.
type Limits struct {
	Memory            units.Size       `short:"m" help:"Memory limit (64m, 1.5g); a process that exceeds it is OOM-killed." placeholder:"BYTES" group:"Limits:"`
	MemorySwap        units.Size       `help:"Limit of memory and swap together; -1 for unlimited swap (default: twice the memory limit)." placeholder:"BYTES" group:"Limits:"`
	MemoryReservation units.Size       `help:"Memory that the kernel reclaims only as a last resort." placeholder:"BYTES" group:"Limits:"`
	CPUs              units.CPUs       `name:"cpus" help:"CPU time limit, in CPUs (0.5, 2)." placeholder:"N" group:"Limits:"`
	CPUShares         units.Weight     `name:"cpu-shares" help:"Weight relative to other containers when CPUs are busy (default: 1024)." placeholder:"N" group:"Limits:"`
	CPUSetCPUs        string           `name:"cpuset-cpus" help:"CPUs that the container may run on (0 or 0-2,4)." placeholder:"LIST" group:"Limits:"`
	PidsLimit         units.Processes  `help:"Maximum number of processes and threads; 0 or -1 for unlimited." placeholder:"N" group:"Limits:"`
	DeviceReadBps     []units.Throttle `help:"Limit the bytes per second read from a device (/dev/sda:1mb)." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceWriteBps    []units.Throttle `help:"Limit the bytes per second written to a device." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceReadIOps    []units.Throttle `name:"device-read-iops" help:"Limit the reads per second from a device." placeholder:"DEV:N" group:"Limits:"`
	DeviceWriteIOps   []units.Throttle `name:"device-write-iops" help:"Limit the writes per second to a device." placeholder:"DEV:N" group:"Limits:"`
}

// CgroupOptions are the flags about the container's cgroup besides its limits.
type CgroupOptions struct {
	OOMScoreAdj  *int   `name:"oom-score-adj" help:"Preference of the OOM killer when the host runs out of memory, from -1000 (never) to 1000 (first)." placeholder:"N" group:"Limits:"`
	CgroupParent string `help:"Existing cgroup in which to create the container's, as a path from the root of the hierarchy." placeholder:"PATH" group:"Limits:"`
}

// minMemory is Docker's: less, and a process cannot even start.
const minMemory = 6 << 20

// completeLimits checks the limits, and sets Docker's default: as much swap as memory.
func (l *Limits) completeLimits() error {
	if err := l.check(); err != nil {
		return err
	}
	if l.Memory > 0 && l.MemorySwap == 0 && l.Memory < math.MaxInt64/2 && hasSwap() {
		l.MemorySwap = 2 * l.Memory
	}
	return nil
}

// hasSwap reports whether the host has any swap: a line of /proc/swaps after the heading.
func hasSwap() bool {
	return len(cgroupfs.Words("/proc/swaps")) > 5
}

// check refuses limits that contradict each other or that this host cannot have.
func (l *Limits) check() error {
	online, err := units.OnlineCPUs()
	if err != nil {
		return err
	}
	switch {
	case l.Memory < 0 || l.MemoryReservation < 0:
		return fmt.Errorf("--memory and --memory-reservation take a number of bytes; 0 is no limit")
	case l.Memory > 0 && l.Memory < minMemory:
		return fmt.Errorf("--memory %s is too small to start a process: the minimum is 6m", l.Memory)
	case l.MemorySwap > 0 && l.MemorySwap < l.Memory:
		return fmt.Errorf("--memory-swap counts memory and swap together, so it cannot be less than --memory")
	case l.MemorySwap > 0 && l.Memory == 0:
		return fmt.Errorf("--memory-swap needs --memory: it counts both together")
	case l.Memory > 0 && l.MemoryReservation > l.Memory:
		return fmt.Errorf("--memory-reservation cannot be more than --memory")
	case int64(l.CPUs) > int64(len(online))*units.Period:
		return fmt.Errorf("--cpus: this host has %d CPUs", len(online))
	case l.CPUSetCPUs != "":
		return units.CheckCPUs(l.CPUSetCPUs, online)
	}
	return nil
}
