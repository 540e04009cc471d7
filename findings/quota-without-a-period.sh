#!/bin/sh
# github.com/containerd/cgroups/v3 v3.1.3, cgroup2: ToResources, which translates the limits of a bundle for
# cgroup v2, leaves a CPU quota out if the bundle names no period: the container has no limit. With cgroup v1 the
# same library sets the quota. `docker run --cpu-quota 50000` makes such a bundle.
#
# The OCI runtime specification (config-linux.md, "CPU") makes both optional, each for itself. The kernel has a
# period of 100000 until another is written (sched-bwc.rst; cgroup-v2.rst, "cpu.max").
#
# Seen: "50000 100000" for cpu.max from a quota with that period, and nothing from the quota alone.
# github.com/opencontainers/cgroups v0.0.6, which runc uses, writes "50000 100000" for both.
#
# Exits with 0 while that is so. Needs Linux, Go and a module proxy; makes no cgroup: the packages write to
# directories made for this.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CGO_ENABLED=0
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	cgroups.TestMode = true // files outside of /sys/fs/cgroup
	quota, period := int64(50000), uint64(100000)
	fmt.Println("quota and period:")
	translate(&specs.LinuxCPU{Quota: &quota, Period: &period})
	fmt.Println("quota:")
	translate(&specs.LinuxCPU{Quota: &quota})
}

// translate prints what becomes of a bundle's limits.
func translate(cpu *specs.LinuxCPU) {
	limits := &specs.LinuxResources{CPU: cpu}
	fmt.Printf("  containerd, cgroup v2: %q\n", cgroup2.ToResources(limits).CPU.Max)
	must(os.MkdirAll("cpu/box", 0o755))
	must(cgroup1.NewCpu(".").Create("box", limits))
	fmt.Printf("  containerd, cgroup v1: %q\n", read("cpu/box/cpu.cfs_quota_us"))

	must(os.WriteFile("cgroup.controllers", []byte("cpu"), 0o644))
	manager, err := fs2.NewManager(&cgroups.Cgroup{}, ".")
	must(err)
	given := cgroups.Resources{CpuQuota: *cpu.Quota, SkipDevices: true}
	if cpu.Period != nil {
		given.CpuPeriod = *cpu.Period
	}
	must(manager.Set(&given))
	fmt.Printf("  opencontainers, cgroup v2: %q\n", read("cpu.max"))
	must(os.Remove("cpu/box/cpu.cfs_quota_us"))
	must(os.Remove("cpu.max"))
}

func read(name string) string {
	content, err := os.ReadFile(name)
	must(err)
	return string(content)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
{
	go mod init finding
	go get github.com/containerd/cgroups/v3@v3.1.3 github.com/opencontainers/cgroups@v0.0.6
	go mod tidy
} >log 2>&1 || { cat log; exit 2; }
go run . >seen
cat seen
cat >expected <<'TEXT'
quota and period:
  containerd, cgroup v2: "50000 100000"
  containerd, cgroup v1: "50000"
  opencontainers, cgroup v2: "50000 100000"
quota:
  containerd, cgroup v2: ""
  containerd, cgroup v1: "50000"
  opencontainers, cgroup v2: "50000 100000"
TEXT
diff expected seen
