package units

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckCPUs(t *testing.T) {
	online, err := onlineCPUs()
	require.NoError(t, err)
	require.NotEmpty(t, online)
	require.NoError(t, checkCPUs("0-2,4", []int{0, 1, 2, 4}))
	require.EqualError(t, checkCPUs("0-4", []int{0, 1, 2, 4}), "--cpuset-cpus: this host has no CPU 3; online are [0 1 2 4]")
	require.ErrorContains(t, checkCPUs("x", online), "--cpuset-cpus: ")
}

func TestThrottle(t *testing.T) {
	for text, says := range map[string]string{
		"/dev/null":    "is not a device and a rate",
		"/dev/null:1m": "is not a block device",
		"/nowhere:1m":  `stat "/nowhere"`,
	} {
		require.ErrorContains(t, new(Throttle).UnmarshalText([]byte(text)), says)
	}
	data, err := json.Marshal([]Throttle{{"8:0", 1 << 20}})
	require.NoError(t, err)
	require.JSONEq(t, `[["8:0", 1048576]]`, string(data))
	var list []Throttle
	require.NoError(t, json.Unmarshal(data, &list))
	require.Equal(t, []Throttle{{"8:0", 1 << 20}}, list)
}
