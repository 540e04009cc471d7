package units

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
)

// onlineCPUs returns the numbers of the host's CPUs that work.
func onlineCPUs() ([]int, error) {
	text, err := rawfile.Read("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	return parseCPUList(strings.TrimSpace(string(text)))
}

// memoryNodes returns the numbers of the host's memory nodes (numa(7)). A kernel without NUMA does not
// list them, and has one, 0.
func memoryNodes() ([]int, error) {
	text, err := rawfile.Read("/sys/devices/system/node/has_memory")
	if errors.Is(err, fs.ErrNotExist) {
		return []int{0}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseCPUList(strings.TrimSpace(string(text)))
}

// checkNodes names the first memory node of a list that the host does not have.
func checkNodes(list string) error {
	wanted, err := parseCPUList(list)
	if err != nil {
		return fmt.Errorf("--cpuset-mems: %q is not a list of memory nodes such as 0-1", list)
	}
	nodes, err := memoryNodes()
	if err != nil {
		return err
	}
	for _, node := range wanted {
		if !slices.Contains(nodes, node) {
			return fmt.Errorf("--cpuset-mems: this host has no memory node %d; there are %v", node, nodes)
		}
	}
	return nil
}

// checkCPUs names the first CPU of a list that is not online.
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

// Throttle is a rate, in bytes or operations a second, for a block device.
type Throttle struct {
	Device string // its number, as cgroup files take it: "major:minor"
	Rate   int64
}

// UnmarshalText reads /dev/NAME:RATE; the rate may have a unit, as a size.
func (t *Throttle) UnmarshalText(text []byte) error {
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
	n, err := ParseSize(rate)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a rate for %s: give a number, or one with k, m or g", rate, path)
	}
	t.Device, t.Rate = fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))), n
	return nil
}

// MarshalJSON writes the device and the rate as an array.
func (t Throttle) MarshalJSON() ([]byte, error) { return json.Marshal([]any{t.Device, t.Rate}) }

// UnmarshalJSON reads what MarshalJSON has written.
func (t *Throttle) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&t.Device, &t.Rate})
}
