package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
)

func TestDefaultFilter(t *testing.T) {
	want, err := compileFor("", capability.Default)
	require.NoError(t, err)
	filter, err := filterOf("", capability.Default)
	require.NoError(t, err)
	require.Equal(t, want, filter)
	admin, err := filterOf("", capability.Default|1<<unix.CAP_SYS_ADMIN)
	require.NoError(t, err)
	require.NotEqual(t, want, admin, "the control")
}
