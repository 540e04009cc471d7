package host

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unreadable is a root whose kernels are root's alone.
type unreadable struct{ fs.FS }

func (u unreadable) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "boot/vmlinuz") {
		return nil, fs.ErrPermission
	}
	return u.FS.Open(name)
}

func TestPlayground(t *testing.T) {
	h := made(map[string]string{"/usr/bin/npm": "", "/etc/os-release": "ID=debian\n"})
	h.Machine = "x86_64"
	found := playground(h)
	require.Equal(t, Less, found.State)
	require.Contains(t, found.Text, "qemu-system-x86_64, /boot/vmlinuz")
	require.Contains(t, found.Mend[0], "apt-get install --no-install-recommends qemu-system-x86 linux-image-cloud-amd64")
	h = h.with(map[string]string{"/usr/bin/qemu-system-x86_64": "", "/boot/vmlinuz-6.1.0-9-cloud-amd64": ""})
	require.Equal(t, OK, playground(h).State)
	slow := h.with(map[string]string{"/dev/kvm": ""})
	slow.Writes = func(string) error { return unix.EACCES }
	require.Contains(t, playground(slow).Text, "no access to /dev/kvm")
	require.Contains(t, playground(slow).Mend[0], "usermod -aG kvm")
	slow.Writes = func(string) error { return nil }
	require.Equal(t, OK, playground(slow).State)
	require.Contains(t, playground(h.with(map[string]string{"/proc/meminfo": "MemTotal: 999999 kB\nMemAvailable: 409600 kB\n"})).Text, "400 MiB are available")
	h.Files = unreadable{h.Files}
	require.Contains(t, playground(h).Text, "permission to read /boot/vmlinuz-6.1.0-9-cloud-amd64")
	require.Contains(t, playground(h).Mend[0], "chmod a+r /boot/vmlinuz-6.1.0-9-cloud-amd64")
	h.Machine = "aarch64"
	require.Equal(t, Less, playground(h).State)
}
