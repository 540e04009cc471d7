#!/bin/sh
# github.com/containerd/cgroups/v3 v3.1.3, cgroup2: ToResources, which translates the limits of a bundle for
# cgroup v2, gives most weights of "blockIO" as small numbers, in no order: 1000, the largest, is less than 20.
#
# The OCI runtime specification (config-linux.md, "Block IO") has weights from 10 to 1000; io.weight and
# io.bfq.weight of the kernel (cgroup-v2.rst, "IO Interface Files") have 1 to 10000 and 1 to 1000. The library
# computes 1 + (weight-10)*9999/990 in 16 bits, in which the product has no room from a weight of 17 on.
#
# Seen, for the weights 10, 16, 17, 20, 100, 500 and 1000: with github.com/opencontainers/cgroups v0.0.6, which
# runc uses, the result grows with the weight, from 1 to 10000, by the same formula.
#
# Exits with 0 while that is so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CGO_ENABLED=0
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	for _, weight := range []uint16{10, 16, 17, 20, 100, 500, 1000} {
		limits := specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: &weight}}
		fmt.Printf("%d: containerd %d, opencontainers %d\n", weight,
			cgroup2.ToResources(&limits).IO.BFQ.Weight, cgroups.ConvertBlkIOToIOWeightValue(weight))
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
10: containerd 1, opencontainers 1
16: containerd 61, opencontainers 61
17: containerd 5, opencontainers 71
20: containerd 35, opencontainers 102
100: containerd 49, opencontainers 910
500: containerd 51, opencontainers 4950
1000: containerd 4, opencontainers 10000
TEXT
diff expected seen
