package units

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitsThatContradictEachOther(t *testing.T) {
	for want, l := range map[string]Limits{
		"--memory-swap needs --memory":                         {MemorySwap: 64 << 20},
		"--memory-swap counts memory":                          {Memory: 64 << 20, MemorySwap: 32 << 20},
		"--memory-reservation cannot be more":                  {Memory: 64 << 20, MemoryReservation: 65 << 20},
		"the minimum is 6m":                                    {Memory: 1 << 20},
		"this host has":                                        {CPUs: 100000 * Period},
		"--cpus 0.5 and --cpu-quota 25000 exclude one another": {CPUs: Period / 2, CPUQuota: 25000},
		"--cpus 1 and --cpu-period 50000 exclude one another":  {CPUs: Period, CPUPeriod: 50000},
		"--cpuset-mems: this host has no memory node 65535":    {CPUSetMems: "65535", CPUSetCPUs: "0"},
		"--cpuset-cpus: this host has no CPU 65535":            {CPUSetMems: "0", CPUSetCPUs: "65535"},
	} {
		require.ErrorContains(t, l.Complete(), want)
	}
	require.NoError(t, (&Limits{Memory: 64 << 20, MemorySwap: -1}).Complete())
	require.NoError(t, (&Limits{Memory: 64 << 20, MemorySwap: 64 << 20, MemoryReservation: 64 << 20}).Complete(), "no swap at all")
}

// What is not given stays, and what is lifted goes: for memory, the limit of memory and swap too.
func TestOverride(t *testing.T) {
	l := Limits{Memory: 64 << 20, MemorySwap: 128 << 20, CPUShares: 512, PidsLimit: 10}
	l.Override(Limits{CPUShares: 1024}, []string{"pids-limit"})
	require.Equal(t, Limits{Memory: 64 << 20, MemorySwap: 128 << 20, CPUShares: 1024}, l)
	l.Override(Limits{}, []string{"memory"})
	require.Equal(t, Limits{CPUShares: 1024}, l)
}
