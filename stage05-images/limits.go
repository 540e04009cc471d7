// Limits on the command line, and what is written to a cgroup for each: the table,
// settings, is what to read here. Values are given as for Docker.
package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are what a container may use at the most.
type Limits struct {
	Memory            size       `short:"m" help:"Memory; whoever needs more is killed: 64m, 1.5g." placeholder:"BYTES" group:"Limits:"`
	MemorySwap        size       `help:"Memory and swap together; -1 for as much swap as there is. Usual is twice the memory." placeholder:"BYTES" group:"Limits:"`
	MemoryReservation size       `help:"Memory that others' needs shall not take away." placeholder:"BYTES" group:"Limits:"`
	CPUs              cpus       `name:"cpus" help:"CPU time, in CPUs: 0.5, 2." placeholder:"N" group:"Limits:"`
	CPUShares         weight     `name:"cpu-shares" help:"Weight against others when CPUs are scarce; 1024 is usual." placeholder:"N" group:"Limits:"`
	CPUSetCPUs        string     `name:"cpuset-cpus" help:"The CPUs to run on: 0, 0-2,4." placeholder:"LIST" group:"Limits:"`
	PidsLimit         count      `help:"Processes and threads; -1 for any number." placeholder:"N" group:"Limits:"`
	DeviceReadBps     []throttle `help:"Bytes a second read from a device: /dev/sda:1mb." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceWriteBps    []throttle `help:"Bytes a second written to a device." placeholder:"DEV:BYTES" group:"Limits:"`
	DeviceReadIOps    []throttle `name:"device-read-iops" help:"Reads a second from a device." placeholder:"DEV:N" group:"Limits:"`
	DeviceWriteIOps   []throttle `name:"device-write-iops" help:"Writes a second to a device." placeholder:"DEV:N" group:"Limits:"`
}

// Placement says where in the trees the container's cgroup is.
type Placement struct {
	OOMScoreAdj  *int   `name:"oom-score-adj" help:"Who is killed first when the host is out of memory: -1000 never, 1000 first." placeholder:"N" group:"Limits:"`
	CgroupParent string `help:"An existing cgroup to make the container's in, from the root of the tree." placeholder:"PATH" group:"Limits:"`
}

// setting is a value for a file, in version 2 and in version 1. The controller's name is
// that of version 2; in version 1 it is the first part of the file's name.
type setting struct {
	flag       string
	controller string
	v2, value2 string
	v1, value1 string
}

// settings translates the limits that are set. The order matters where the kernel
// compares: version 1 takes memory with swap only when it is not below memory.
func (l *Limits) settings() ([]setting, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	var list []setting
	add := func(isSet bool, s setting) {
		if isSet {
			list = append(list, s)
		}
	}
	if l.MemorySwap == 0 && l.Memory < math.MaxInt64/2 && hasSwap() {
		l.MemorySwap = 2 * l.Memory // as Docker: as much again
	}
	memory, swap, low := l.Memory.String(), l.MemorySwap.String(), l.MemoryReservation.String()
	add(l.Memory != 0, setting{"--memory", "memory", "memory.max", memory, "memory.limit_in_bytes", memory})
	add(l.Memory != 0, setting{"--memory", "memory", "memory.oom.group", "1", "memory", ""})
	add(l.MemorySwap > 0, setting{"--memory-swap", "memory", "memory.swap.max", (l.MemorySwap - l.Memory).String(), "memory.memsw.limit_in_bytes", swap})
	add(l.MemorySwap < 0, setting{"--memory-swap", "memory", "memory.swap.max", "max", "memory.memsw.limit_in_bytes", "-1"})
	add(l.MemoryReservation != 0, setting{"--memory-reservation", "memory", "memory.low", low, "memory.soft_limit_in_bytes", low})
	quota := fmt.Sprint(int64(l.CPUs))
	add(l.CPUs != 0, setting{"--cpus", "cpu", "cpu.max", quota + " 100000", "cpu.cfs_quota_us", quota})
	weight := fmt.Sprint(1 + (l.CPUShares-2)*9999/262142) // from 2…262144, version 1's scale, to 1…10000
	add(l.CPUShares != 0, setting{"--cpu-shares", "cpu", "cpu.weight", weight, "cpu.shares", fmt.Sprint(l.CPUShares)})
	add(l.CPUSetCPUs != "", setting{"--cpuset-cpus", "cpuset", "cpuset.cpus", l.CPUSetCPUs, "cpuset.cpus", l.CPUSetCPUs})
	pids := strings.Replace(fmt.Sprint(l.PidsLimit), "-1", "max", 1)
	add(l.PidsLimit != 0, setting{"--pids-limit", "pids", "pids.max", pids, "pids.max", pids})
	for _, d := range []struct {
		flag, v2, v1 string
		list         []throttle
	}{
		{"--device-read-bps", "rbps", "read_bps", l.DeviceReadBps}, {"--device-write-bps", "wbps", "write_bps", l.DeviceWriteBps},
		{"--device-read-iops", "riops", "read_iops", l.DeviceReadIOps}, {"--device-write-iops", "wiops", "write_iops", l.DeviceWriteIOps},
	} {
		for _, t := range d.list {
			list = append(list, setting{d.flag, "io", "io.max", fmt.Sprintf("%s %s=%d", t.device, d.v2, t.rate),
				"blkio.throttle." + d.v1 + "_device", fmt.Sprintf("%s %d", t.device, t.rate)})
		}
	}
	return list, nil
}

// hasSwap tells whether the host has any swap: a line of /proc/swaps after the heading.
func hasSwap() bool {
	return len(words("/proc/swaps")) > 5
}

// minMemory is Docker's: less, and a process cannot even start.
const minMemory = 6 << 20

// check refuses limits that contradict each other or that this host cannot have.
func (l *Limits) check() error {
	online, err := onlineCPUs()
	if err != nil {
		return err
	}
	switch {
	case l.Memory < 0 || l.MemoryReservation < 0:
		return fmt.Errorf("--memory and --memory-reservation take a number of bytes; leave them out for no limit")
	case l.Memory > 0 && l.Memory < minMemory:
		return fmt.Errorf("--memory %s is too little to start a process in: the least is 6m", l.Memory)
	case l.MemorySwap > 0 && l.MemorySwap < l.Memory:
		return fmt.Errorf("--memory-swap counts memory and swap together, so it cannot be less than --memory")
	case l.MemorySwap != 0 && l.Memory == 0:
		return fmt.Errorf("--memory-swap needs --memory: it counts both together")
	case l.Memory > 0 && l.MemoryReservation > l.Memory:
		return fmt.Errorf("--memory-reservation cannot be more than --memory")
	case int64(l.CPUs) > int64(len(online))*period:
		return fmt.Errorf("--cpus: this host has %d CPUs", len(online))
	case l.CPUSetCPUs != "":
		return checkCPUs(l.CPUSetCPUs, online)
	}
	return nil
}

// checkCPUs names the CPU of a list that the host does not have.
func checkCPUs(list string, online []int) error {
	cpus, err := parseCPUList(list)
	if err != nil {
		return fmt.Errorf("--cpuset-cpus: %w", err)
	}
	for _, cpu := range cpus {
		if !slices.Contains(online, cpu) {
			return fmt.Errorf("--cpuset-cpus: this host has no CPU %d; online are %v", cpu, online)
		}
	}
	return nil
}

func onlineCPUs() ([]int, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	return parseCPUList(strings.TrimSpace(string(text)))
}

// parseCPUList reads a list of numbers and ranges, such as 0-2,4 (cpuset(7)).
func parseCPUList(text string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || first > last {
			return nil, fmt.Errorf("%q is not a list of CPUs such as 0-2,4", text)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}

// size is a size; -1 stands for any size, 0 for none given.
type size int64

func (b size) String() string { return strconv.FormatInt(int64(b), 10) }

// UnmarshalText reads a size as Docker does: 64m, 1.5g, 4096, -1.
func (b *size) UnmarshalText(text []byte) error {
	n, err := parseBytes(string(text))
	*b = size(n)
	return err
}

// units are the powers of 1024 that a size may end in; an ending such as kb or kib is
// read as k.
const units = "bkmgtp"

func parseBytes(text string) (int64, error) {
	bad := fmt.Errorf("%q is not a size: give bytes, or a number with k, m or g, such as 64m", text)
	if text == "-1" {
		return -1, nil
	}
	number := strings.TrimRight(strings.ToLower(text), "bkmgtpi")
	unit := strings.ToLower(text)[len(number):]
	if unit == "" {
		unit = "b"
	}
	power := strings.IndexByte(units, unit[0])
	if !slices.Contains([]string{unit[:1], unit[:1] + "b", unit[:1] + "ib"}, unit) || unit == "bb" || unit == "bib" || power < 0 {
		return 0, bad
	}
	if strings.Trim(number, "0123456789.") != "" {
		return 0, bad
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, bad
	}
	value *= math.Pow(1024, float64(power))
	switch {
	case value < 1:
		return 0, fmt.Errorf("%q: a limit of nothing lets nothing run; leave it out for no limit", text)
	case value >= math.MaxInt64:
		return 0, fmt.Errorf("%q is more than any machine can have", text)
	}
	return int64(value), nil
}

// period is in which time a CPU quota is to be used, in microseconds; the kernel's default.
const period = 100000

// cpus is CPU time in microseconds a period.
type cpus int64

// UnmarshalText reads a number of CPUs, such as 0.5.
func (c *cpus) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil || strings.Trim(string(text), "0123456789.") != "":
		return fmt.Errorf("%q is not a number of CPUs, such as 0.5 or 2", text)
	case n < 0.01:
		return fmt.Errorf("%q: the least is 0.01 CPUs", text)
	case n > 1<<20:
		return fmt.Errorf("%q is more than any machine can have", text)
	}
	*c = cpus(math.Round(n * period))
	return nil
}

// weight is a share of the CPUs, beside others' weights.
type weight int64

// UnmarshalText reads a weight in version 1's scale.
func (w *weight) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 2 || n > 262144 {
		return fmt.Errorf("%q is not a weight from 2 to 262144, of which 1024 is usual", text)
	}
	*w = weight(n)
	return nil
}

// count is a number of processes; -1 stands for any number, 0 for none given.
type count int64

// mostPids is how many process numbers a kernel can give out (proc(5), pid_max).
const mostPids = 4 << 20

// UnmarshalText reads a number of processes.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n == 0 || n < -1 || n > mostPids {
		return fmt.Errorf("%q is not a number of processes from 1 to %d, or -1 for any number", text, mostPids)
	}
	*c = count(n)
	return nil
}

// throttle is a rate for a block device, whose number is written "major:minor".
type throttle struct {
	device string
	rate   int64
}

// UnmarshalText reads /dev/NAME:RATE; the rate may have a unit, as a size.
func (t *throttle) UnmarshalText(text []byte) error {
	path, rate, ok := strings.Cut(string(text), ":")
	if !ok {
		return fmt.Errorf("%q is not a device and a rate, such as /dev/sda:1mb", text)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fmt.Errorf("stat %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("%q is not a block device", path)
	}
	n, err := parseBytes(rate)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a rate for %s: give a number, or one with k, m or g", rate, path)
	}
	t.device, t.rate = fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))), n
	return nil
}
