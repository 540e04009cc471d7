package buildflags

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunLimits(t *testing.T) {
	type input = struct{ Name, Value string }
	require.Empty(t, Options{}.RunLimits(), "the keys of steps without limits stay as they were")
	require.Equal(t, []input{{"--shm-size", "1024"}, {"--ulimit", "nofile=5:5 core=0:RLIM64_INFINITY"}},
		Options{ShmSize: 1024, Ulimit: []string{"nofile=5", "core=0:-1"}}.RunLimits())
	require.Equal(t, Options{Ulimit: []string{"nofile=5"}}.RunLimits(), Options{Ulimit: []string{"nofile=5:5"}}.RunLimits())
	for want, o := range map[string]Options{
		"--shm-size: give a size, such as 128m":                        {ShmSize: -1},
		"--ulimit nofile=2:1: the soft limit, 2, is above the hard":    {Ulimit: []string{"nofile=2:1"}},
		"--ulimit nosuch=1: there is no limit \"nosuch\"; setrlimit(2": {Ulimit: []string{"nosuch=1"}},
	} {
		_, err := Parse(Source{}, o)
		require.ErrorContains(t, err, want)
	}
}
