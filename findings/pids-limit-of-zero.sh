#!/bin/sh
# github.com/opencontainers/runc v1.5.0 and the package cgroups v0.0.6 that it is made with: a
# "pids": {"limit": 0} in a bundle's config.json is a limit of one process. To Docker a
# --pids-limit of 0 is no limit (daemon/daemon_unix.go, getPidsLimit, moby 29), so it never
# passes a 0 on.
#
# The OCI runtime specification (config-linux.md, "PIDs") has said since 1.3 that 0 is a limit of
# its own, and that -1 is none; before, runc took 0 for no limit too.
#
# Seen, as what is written to pids.max: 0 becomes "1", -1 becomes "max", 5 becomes "5", and
# without a limit the file is left alone.
#
# Exits with 0 while that is so. Needs Linux, Go and a module proxy; makes no cgroup: the
# package writes to a directory made for this.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	cgroups.TestMode = true // files outside of /sys/fs/cgroup
	for _, limit := range []*int64{nil, to(0), to(-1), to(5)} {
		spec := specconv.Example()
		spec.Root.Path = "/"
		spec.Linux.Resources = &specs.LinuxResources{}
		if limit != nil {
			spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: limit}
		}
		config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: "finding", Spec: spec})
		must(err)
		must(os.WriteFile("pids.max", []byte("untouched"), 0o600))
		must((&fs.PidsGroup{}).Set(".", config.Cgroups.Resources))
		written, err := os.ReadFile("pids.max")
		must(err)
		if limit == nil {
			fmt.Printf("none: %s\n", written)
		} else {
			fmt.Printf("%d: %s\n", *limit, written)
		}
	}
}

func to(n int64) *int64 { return &n }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/opencontainers/runc@v1.5.0 github.com/opencontainers/cgroups@v0.0.6 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run . > seen
cat seen
cat > expected <<'TEXT'
none: untouched
0: 1
-1: max
5: 5
TEXT
diff expected seen
