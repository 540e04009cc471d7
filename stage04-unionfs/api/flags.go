package api

import (
	"cmp"
	"path/filepath"
	"strconv"
	"strings"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage03-rootfs/devnode"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage03-rootfs/rlimit"
)

// Throttles are the limits of block devices.
func Throttles(list []units.Throttle) []ThrottleDevice {
	all := []ThrottleDevice{}
	for _, t := range list {
		all = append(all, ThrottleDevice{Path: t.Device, Rate: t.Rate})
	}
	return all
}

// Ulimits are those of --ulimit.
func Ulimits(specs []string) []Ulimit {
	all := []Ulimit{}
	for _, spec := range specs {
		if l, err := rlimit.Parse(spec); err == nil {
			all = append(all, Ulimit{Name: l.Name, Hard: int64(l.Max), Soft: int64(l.Cur)})
		}
	}
	return all
}

// Devices are those of --device that the host has.
func Devices(specs []string) []Device {
	all := []Device{}
	for _, spec := range specs {
		if n, err := devnode.Parse(spec); err == nil {
			source, _, _ := strings.Cut(spec, ":")
			all = append(all, Device{PathOnHost: source, PathInContainer: n.Target,
				CgroupPermissions: n.Access})
		}
	}
	return all
}

// Mounts are those of --mount, as they were asked for.
func Mounts(list []mountspec.Spec) (all []Mount) {
	for _, s := range list {
		all = append(all, Mount{Type: s.Type, Source: s.Source, Target: s.Target, ReadOnly: s.ReadOnly, TmpfsOptions: tmpfsOptions(s.Options)})
	}
	return all
}

// tmpfsOptions are those of a tmpfs that the API has a number for, nil if there is none. A part of the
// memory is not one.
func tmpfsOptions(options []string) *TmpfsOptions {
	o := TmpfsOptions{}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		if n, err := strconv.ParseInt(value, 10, 64); name == "size" && err == nil {
			o.SizeBytes = n
		}
		if n, err := strconv.ParseUint(value, 8, 32); name == "mode" && err == nil {
			o.Mode = uint32(n)
		}
	}
	if o == (TmpfsOptions{}) {
		return nil
	}
	return &o
}

// MountPoints are mounts as a container has them; volumes is the directory that holds the volumes.
func MountPoints(list []mountspec.Spec, volumes string) []MountPoint {
	all := []MountPoint{}
	for _, s := range list {
		m := MountPoint{Type: s.Type, Source: s.Source, Destination: s.Target, RW: !s.ReadOnly}
		switch s.Type {
		case "bind":
			m.Propagation = "r" + cmp.Or(s.Propagation, "private")
		case "volume":
			m.Name, m.Driver, m.Source = s.Source, "local", filepath.Join(volumes, s.Source, "_data")
		}
		if s.ReadOnly {
			m.Mode = "ro"
		}
		all = append(all, m)
	}
	return all
}

// SetLimits sets what the flags about limits say. Docker's default for memory and swap together is
// twice the memory.
func (h *HostConfig) SetLimits(l units.Limits) {
	h.Memory, h.MemoryReservation, h.MemorySwap = int64(l.Memory), int64(l.MemoryReservation), int64(cmp.Or(l.MemorySwap, 2*l.Memory))
	h.NanoCPUs, h.CPUShares, h.CpusetCpus = int64(l.CPUs)*(1e9/units.Period), int64(l.CPUShares), l.CPUSetCPUs
	h.CPUPeriod, h.CPUQuota, h.CpusetMems = int64(l.CPUPeriod), int64(l.CPUQuota), l.CPUSetMems
	if most := int64(l.PidsLimit); most != 0 {
		h.PidsLimit = &most
	}
	if l.MemorySwappiness != nil {
		h.MemorySwappiness = (*int64)(l.MemorySwappiness)
	}
	h.BlkioWeight = int(l.BlkioWeight)
	h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps = Throttles(l.DeviceReadBps), Throttles(l.DeviceWriteBps)
	h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps = Throttles(l.DeviceReadIOps), Throttles(l.DeviceWriteIOps)
}
