package rlimit

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"nofile=1024:4096": "{rlim_cur=1024, rlim_max=4096}",
		"nofile=7":         "{rlim_cur=7, rlim_max=7}",
		"nofile=0:-1":      "{rlim_cur=0, rlim_max=RLIM64_INFINITY}",
		"nofile=unlimited": "{rlim_cur=RLIM64_INFINITY, rlim_max=RLIM64_INFINITY}",
	} {
		l, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, unix.RLIMIT_NOFILE, l.Resource)
		require.Equal(t, want, l.String())
	}
	for text, says := range map[string]string{
		"files=1": `there is no limit "files"; setrlimit(2) has core, cpu, data`, "nofile": `"" is not a number`,
		"nofile=2:1": "the soft limit, 2, is above the hard one, 1", "nofile=-2": `"-2" is not a number, or -1 for none`,
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, says)
	}
	require.ErrorContains(t, Check([]string{"nofile=7", "nofile=2:1"}), "--ulimit nofile=2:1: the soft limit")
	require.NoError(t, Check([]string{"nofile=7"}))
}
