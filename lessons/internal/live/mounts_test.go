package live

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLayers(t *testing.T) {
	for text, want := range map[string][]Layer{
		`rw,lowerdir=/c:/b:/a,upperdir=/up,workdir=/w`:    {{"/up", true}, {"/c", false}, {"/b", false}, {"/a", false}},
		`ro,lowerdir=/b:/a`:                               {{"/b", false}, {"/a", false}},
		`rw,lowerdir=/a\134:1:/a\040b::/data,upperdir=/u`: {{"/u", true}, {"/a:1", false}, {"/a b", false}, {"/data", false}},
		`rw,lowerdir+=/b,lowerdir+=/a:x,datadir+=/d`:      {{"/b", false}, {"/a:x", false}, {"/d", false}},
		`rw,upperdir=/x\134,y,lowerdir=/a`:                {{`/x\`, true}, {"/a", false}},
	} {
		m := made(t, "1 0 8:1 / / rw - ext4 /dev/sda rw\n")
		m.process(10, 1, "sh", map[string]int{"mnt": 20})
		m.file("proc/10/mountinfo", "2 1 0:40 / / rw,relatime - overlay overlay "+text+"\n")
		root := box(t, m.take(), 10).Root
		require.Equal(t, "overlay", root.Kind)
		require.Equal(t, want, root.Layers, text)
	}
}

func TestRoots(t *testing.T) {
	const host = "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /proc rw - proc proc rw\n"
	for name, c := range map[string]struct {
		mounts string
		want   Root
	}{
		"not seen":     {"", Root{Mounts: []Mount{}}},
		"the host's":   {"11 0 8:1 / / rw - ext4 /dev/sda rw\n12 11 0:5 / /proc rw - proc proc rw\n13 11 0:50 / /proc rw,nosuid - proc proc rw\n", Root{Kind: "host", Type: "ext4", Source: "/", Mounts: []Mount{{"/proc", "proc", "", false}}}},
		"a directory":  {"11 0 8:1 /srv/root / rw - ext4 /dev/sda rw\n12 11 8:1 /home/me /data ro,nosuid - ext4 /dev/sda rw\n", Root{Kind: "directory", Type: "ext4", Source: "/srv/root", Mounts: []Mount{{"/data", "ext4", "/home/me", true}}}},
		"covered once": {"11 0 8:1 / / rw - ext4 /dev/sda rw\n12 11 0:9 / / rw - tmpfs x rw\n", Root{Kind: "directory", Type: "tmpfs", Source: "/", Mounts: []Mount{}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := made(t, host)
			m.process(10, 1, "sh", map[string]int{"mnt": 20})
			m.file("proc/10/mountinfo", c.mounts)
			require.Equal(t, c.want, box(t, m.take(), 10).Root)
		})
	}
}
