package host

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlayground(t *testing.T) {
	h := made(map[string]string{"/usr/bin/npm": "", "/etc/os-release": "ID=debian\n"})
	h.Machine = "x86_64"
	found := playground(h)
	require.Equal(t, Less, found.State)
	require.Contains(t, found.Text, "qemu-system-x86_64, /boot/vmlinuz")
	require.Contains(t, found.Mend[0], "apt-get install --no-install-recommends qemu-system-x86 linux-image-cloud-amd64")
	h = h.with(map[string]string{"/usr/bin/qemu-system-x86_64": "", "/boot/vmlinuz-6.1.0-9-cloud-amd64": ""})
	require.Equal(t, OK, playground(h).State)
	h.Machine = "aarch64"
	require.Equal(t, Less, playground(h).State)
}
