package host

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const mountinfo = "/proc/self/mountinfo"

func TestMounts(t *testing.T) {
	h := made(map[string]string{mountinfo: `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:2 /sub /my\040disk rw shared:2 master:1 - xfs /dev/sdb ro,a=b
24 22 0:5 / /run rw - tmpfs tmpfs rw
nonsense
25 22 0:6 / /bad - proc
`})
	require.Equal(t, []mountPoint{
		{"/", "/", []string{"shared:1"}, "ext4", []string{"rw"}},
		{"/sub", "/my disk", []string{"shared:2", "master:1"}, "xfs", []string{"ro", "a=b"}},
		{"/", "/run", []string{}, "tmpfs", []string{"rw"}},
	}, h.mounts())
}

func TestMountOf(t *testing.T) {
	h := made(map[string]string{mountinfo: `1 0 0:1 / / rw - ext4 a rw
2 1 0:2 / /var rw - xfs b rw
3 1 0:3 / /var rw - btrfs c rw
4 3 0:4 / /var/lib rw - overlay d rw
`})
	for dir, want := range map[string]string{"/": "ext4", "/usr": "ext4", "/var": "btrfs", "/variety": "ext4", "/var/tmp": "btrfs", "/var/lib/x": "overlay"} {
		require.Equal(t, want, h.mountOf(dir).fstype, dir)
	}
}

func FuzzMounts(f *testing.F) {
	f.Add(`36 35 98:0 /sub /mnt\040x rw,noatime master:1 - ext4 /dev/root rw`)
	f.Add(`36 35 98:0 / /mnt\777\04 rw - cgroup none rw,memory`)
	f.Fuzz(func(t *testing.T, text string) {
		h := made(map[string]string{mountinfo: text, "/proc/self/cgroup": text})
		for _, m := range h.mounts() {
			require.NotEmpty(t, m.fstype)
		}
		h.hierarchies()
	})
}
