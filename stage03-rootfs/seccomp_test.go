package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/seccomp"
)

func TestDefaultFilter(t *testing.T) {
	profile, err := seccomp.Default([]string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
		"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD",
		"CAP_AUDIT_WRITE", "CAP_SETFCAP"})
	require.NoError(t, err)
	want, err := seccomp.Compile(profile)
	require.NoError(t, err)
	filter, err := defaultFilter()
	require.NoError(t, err)
	require.Equal(t, want, filter)
	admin, err := compileFor("", capability.Default|1<<unix.CAP_SYS_ADMIN)
	require.NoError(t, err)
	require.NotEqual(t, want, admin, "the control")
}
