package units

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"stagebox/stage02-cgroups/cgroupfs"
)

// Limits are the flags for what a container may use at most. A field that is 0 or empty is no limit.
type Limits struct {
	Memory            Size       `short:"m" help:"Memory limit (64m, 1.5g); a process that exceeds it is OOM-killed." placeholder:"BYTES" group:"Limits:"`
	MemorySwap        Size       `help:"Limit of memory and swap together; -1 for unlimited swap (default: twice the memory limit)." placeholder:"BYTES" group:"Limits:"`
	MemoryReservation Size       `help:"Memory that the kernel reclaims only as a last resort." placeholder:"BYTES" group:"Limits:"`
	CPUs              CPUs       `name:"cpus" help:"CPU time limit, in CPUs (0.5, 2)." placeholder:"N" group:"Limits:"`
	CPUShares         Weight     `name:"cpu-shares" help:"Weight relative to other containers when CPUs are busy (default: 1024)." placeholder:"N" group:"Limits:"`
	CPUSetCPUs        string     `name:"cpuset-cpus" help:"CPUs that the container may run on (0 or 0-2,4)." placeholder:"LIST" group:"Limits:"`
	PidsLimit         Processes  `help:"Maximum number of processes and threads; 0 or -1 for unlimited." placeholder:"N" group:"Limits:"`
	DeviceReadBps     []Throttle `help:"Limit the bytes per second read from a device (/dev/sda:1mb)." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceWriteBps    []Throttle `help:"Limit the bytes per second written to a device." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceReadIOps    []Throttle `name:"device-read-iops" help:"Limit the reads per second from a device." placeholder:"DEV:N" group:"Limits:"`
	DeviceWriteIOps   []Throttle `name:"device-write-iops" help:"Limit the writes per second to a device." placeholder:"DEV:N" group:"Limits:"`

	CPUPeriod  CPUPeriod `name:"cpu-period" help:"Microseconds in which --cpu-quota is to be used (default: 100000)." placeholder:"MICROSECONDS" group:"Limits:"`
	CPUQuota   CPUQuota  `name:"cpu-quota" help:"CPU time limit, in microseconds per --cpu-period; -1 for unlimited." placeholder:"MICROSECONDS" group:"Limits:"`
	CPUSetMems string    `name:"cpuset-mems" help:"Memory nodes that the container may allocate from (0 or 0-1)." placeholder:"LIST" group:"Limits:"`

	BlkioWeight      IOWeight `help:"Weight relative to other containers when block devices are busy, from 10 to 1000 (default: 100)." placeholder:"N" group:"Limits:"`
	MemorySwappiness *Percent `help:"Preference of the kernel to swap the container's memory out, from 0 to 100; version 2 of cgroups has no such setting." placeholder:"N" group:"Limits:"`
}

// minMemory is Docker's: less, and a process cannot even start.
const minMemory = 6 << 20

// Complete checks the limits, and sets Docker's default: as much swap as memory.
func (l *Limits) Complete() error {
	if err := l.Check(); err != nil {
		return err
	}
	if l.Memory > 0 && l.MemorySwap == 0 && l.Memory < math.MaxInt64/2 && HasSwap() {
		l.MemorySwap = 2 * l.Memory
	}
	return nil
}

// HasSwap reports whether the host has any swap: a line of /proc/swaps after the heading.
func HasSwap() bool {
	return len(cgroupfs.Words("/proc/swaps")) > 5
}

// Check refuses limits that contradict each other or that this host cannot have.
func (l *Limits) Check() error {
	online, err := onlineCPUs()
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
	case int64(l.CPUs) > int64(len(online))*Period:
		return fmt.Errorf("--cpus: this host has %d CPUs", len(online))
	case l.CPUs != 0 && l.CPUQuota != 0:
		return fmt.Errorf("--cpus %s and --cpu-quota %d exclude one another: both limit the CPU time; give one as 0", l.CPUs, l.CPUQuota)
	case l.CPUs != 0 && l.CPUPeriod != 0:
		return fmt.Errorf("--cpus %s and --cpu-period %d exclude one another: --cpus has the default period; give --cpu-quota instead", l.CPUs, l.CPUPeriod)
	case l.CPUSetMems != "":
		if err := checkNodes(l.CPUSetMems); err != nil {
			return err
		}
	}
	if l.CPUSetCPUs != "" {
		return checkCPUs(l.CPUSetCPUs, online)
	}
	return nil
}

// Override takes over the limits that are given in another, and those that it lifts, which are 0
// there and named by their flags.
func (l *Limits) Override(by Limits, lifted []string) {
	to, from := reflect.ValueOf(l).Elem(), reflect.ValueOf(by)
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		isLifted := func(flag string) bool { return strings.EqualFold(strings.ReplaceAll(flag, "-", ""), name) }
		if !from.Field(i).IsZero() || slices.ContainsFunc(lifted, isLifted) {
			to.Field(i).Set(from.Field(i))
		}
	}
	if slices.Contains(lifted, "memory") {
		l.MemorySwap = by.MemorySwap
	}
}
