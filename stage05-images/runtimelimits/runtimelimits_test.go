package runtimelimits

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// TestOf: each limit as both versions of cgroups have it. Values that the other version has not are empty.
func TestOf(t *testing.T) {
	for resources, want := range map[string]string{
		`{}`:                                                    "",
		`{"memory": {"limit": 100}}`:                            "memory.limit memory: memory.max=100 | memory.limit_in_bytes=100",
		`{"memory": {"limit": -1}}`:                             "memory.limit memory: memory.max=max | memory.limit_in_bytes=-1",
		`{"memory": {"swap": -1}}`:                              "memory.swap memory: memory.swap.max=max | memory.memsw.limit_in_bytes=-1",
		`{"memory": {"reservation": 7}}`:                        "memory.reservation memory: memory.low=7 | memory.soft_limit_in_bytes=7",
		`{"memory": {"swappiness": 10}}`:                        "memory.swappiness memory: memory.max= | memory.swappiness=10",
		`{"memory": {"disableOOMKiller": true}}`:                "memory.disableOOMKiller memory: memory.max= | memory.oom_control=1",
		`{"memory": {"disableOOMKiller": false}}`:               "",
		`{"memory": {"kernel": 5}}`:                             "memory.kernel memory: memory.max= | memory.kmem=",
		`{"cpu": {"shares": 1024}}`:                             "cpu.shares cpu: cpu.weight=100 | cpu.shares=1024",
		`{"cpu": {"quota": 20}}`:                                "cpu.quota cpu: cpu.max=20 100000 | cpu.cfs_quota_us=20",
		`{"cpu": {"quota": -1}}`:                                "cpu.quota cpu: cpu.max=max 100000 | cpu.cfs_quota_us=-1",
		`{"cpu": {"burst": 9}}`:                                 "cpu.burst cpu: cpu.max.burst=9 | cpu.cfs_burst_us=9",
		`{"cpu": {"realtimePeriod": 8}}`:                        "cpu.realtimePeriod cpu: cpu.max= | cpu.rt_period_us=8",
		`{"cpu": {"cpus": "0-1", "mems": "0"}}`:                 "cpu.cpus cpuset: cpuset.cpus=0-1 | cpuset.cpus=0-1; cpu.mems cpuset: cpuset.mems=0 | cpuset.mems=0",
		`{"cpu": {"idle": 1}}`:                                  "cpu.idle cpu: cpu.idle=1 | cpu.idle=1",
		`{"pids": {"limit": 33}}`:                               "pids.limit pids: pids.max=33 | pids.max=33",
		`{"pids": {"limit": 0}}`:                                "pids.limit pids: pids.max=max | pids.max=max",
		`{"hugepageLimits": [{"pageSize": "2MB", "limit": 4}]}`: "hugepageLimits[0] hugetlb: hugetlb.2MB.max=4 | hugetlb.2MB.limit_in_bytes=4",
		`{"blockIO": {"weight": 50}}`:                           "blockIO.weight io: io.bfq.weight=50 | blkio.bfq.weight=50",
		`{"blockIO": {"weightDevice": [{"major": 8, "minor": 1, "weight": 5}]}}`:        "blockIO.weightDevice io: io.bfq.weight=8:1 5 | blkio.bfq.weight_device=8:1 5",
		`{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]}}`: "blockIO.throttleReadBpsDevice io: io.max=8:1 rbps=5 | blkio.throttle.read_bps_device=8:1 5",
		// Version 2 counts swap by itself.
		`{"memory": {"limit": 100, "swap": 130}}`: "memory.limit memory: memory.max=100 | memory.limit_in_bytes=100; memory.swap memory: memory.swap.max=30 | memory.memsw.limit_in_bytes=130",
		// In version 2 they are in one file, and the quota is written last, with the period.
		`{"cpu": {"quota": 20, "period": 50}}`: "cpu.period cpu: cpu.max=max 50 | cpu.cfs_period_us=50; cpu.quota cpu: cpu.max=20 50 | cpu.cfs_quota_us=20",
		// Files by their names, in the order of these.
		`{"unified": {"pids.max": "7", "memory.high": "5"}}`: "unified[memory.high] memory: memory.high=5 | version-2.only=; unified[pids.max] pids: pids.max=7 | version-2.only=",
	} {
		var r specs.LinuxResources
		require.NoError(t, json.Unmarshal([]byte(resources), &r), resources)
		var got []string
		for _, s := range Of(&r, true) {
			got = append(got, fmt.Sprintf("%s %s: %s=%s | %s=%s", strings.TrimPrefix(s.Field, "linux.resources."), s.Controller,
				s.V2.Name, s.V2.Value, s.V1.Name, s.V1.Value))
		}
		require.Equal(t, want, strings.Join(got, "; "), resources)
	}
}

// TestWeightsWithoutBFQ: the scheduler is a module on many hosts, and a cgroup has its file only while it is loaded.
func TestWeightsWithoutBFQ(t *testing.T) {
	var r specs.LinuxResources
	require.NoError(t, json.Unmarshal([]byte(`{"blockIO": {"weight": 1000, "weightDevice": [{"major": 8, "minor": 1, "weight": 100}]}}`), &r))
	got := Of(&r, false)
	require.Len(t, got, 2)
	require.Equal(t, File{"io.weight", "10000"}, got[0].V2)
	require.Equal(t, File{"blkio.bfq.weight", "1000"}, got[0].V1)
	require.Equal(t, File{"io.weight", "8:1 910"}, got[1].V2)
	require.Equal(t, File{"blkio.bfq.weight_device", "8:1 100"}, got[1].V1)
}
