package api

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage03-rootfs/mountspec"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestMountPoints(t *testing.T) {
	require.Equal(t, []MountPoint{
		{Type: "bind", Source: "/a", Destination: "/b", Mode: "ro", Propagation: "rslave"},
		{Type: "bind", Source: "/a", Destination: "/c", RW: true, Propagation: "rprivate"},
		{Type: "volume", Name: "v", Source: filepath.Join("/volumes", "v", "_data"), Destination: "/d", Driver: "local", RW: true},
		{Type: "tmpfs", Destination: "/e", RW: true},
	}, MountPoints([]mountspec.Spec{
		{Type: "bind", Source: "/a", Target: "/b", ReadOnly: true, Propagation: "slave"},
		{Type: "bind", Source: "/a", Target: "/c"},
		{Type: "volume", Source: "v", Target: "/d"},
		{Type: "tmpfs", Target: "/e"},
	}, "/volumes"))
}

// Lists that scripts go through are empty, never null. What is refused elsewhere is left out.
func TestFlagsAreDescribed(t *testing.T) {
	require.Equal(t, []Ulimit{{Name: "nofile", Soft: 1024, Hard: 4096}, {Name: "core", Soft: -1, Hard: -1}},
		Ulimits([]string{"nofile=1024:4096", "core=unlimited", "wrong"}))
	require.Equal(t, []Device{{"/dev/null", "/dev/mine", "r"}}, Devices([]string{"/dev/null:/dev/mine:r", "/none"}))
	for _, list := range []any{Ulimits(nil), Devices(nil), Throttles(nil), MountPoints(nil, "")} {
		require.NotNil(t, list)
		require.Empty(t, list)
	}
}

// Docker's numbers: CPUs in billionths, and twice the memory for memory and swap together.
func TestLimitsAreDescribed(t *testing.T) {
	var h HostConfig
	h.SetLimits(units.Limits{Memory: 64 << 20, CPUs: units.Period / 2, PidsLimit: 9})
	require.EqualValues(t, []int64{64 << 20, 128 << 20, 500_000_000, 9}, []int64{h.Memory, h.MemorySwap, h.NanoCPUs, *h.PidsLimit})
	h = HostConfig{}
	h.SetLimits(units.Limits{Memory: 64 << 20, MemorySwap: -1})
	require.EqualValues(t, -1, h.MemorySwap)
	require.Nil(t, h.PidsLimit)
}

func TestSharedNamespaces(t *testing.T) {
	h := NewHostConfig()
	h.SetShared([]string{"net", "uts"})
	require.Equal(t, []string{"host", "host"}, []string{h.NetworkMode, h.UTSMode})
	require.NotEqual(t, "host", h.PidMode)
}

func TestWords(t *testing.T) {
	require.Equal(t, []string{"CAP_NET_ADMIN", "CAP_KILL"}, Capabilities([]string{"net_admin", "CAP_KILL"}))
	require.Equal(t, []string{"A=2", "B=1"}, Env([]string{"A=1", "B=1", "A=2"}))
	require.Equal(t, map[string]string{"a": "b=c", "d": ""}, Pairs([]string{"a=b=c", "d"}, "="))
	require.Nil(t, Pairs(nil, "="))
	require.Equal(t, map[string]struct{}{"x": {}}, Set(nil, "x"))
	require.Equal(t, "0001-01-01T00:00:00Z", Time(time.Time{}))
}

// TestTmpfs: the size and the mode of a tmpfs are numbers, as Docker has them: 448 for 700.
func TestTmpfs(t *testing.T) {
	list, err := mountspec.Types{"tmpfs"}.Parse(nil, []string{"type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=700", "type=tmpfs,dst=/u"}, nil)
	require.NoError(t, err)
	text, err := json.Marshal(Mounts(list))
	require.NoError(t, err)
	require.JSONEq(t, `[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":67108864,"Mode":448}},{"Type":"tmpfs","Target":"/u"}]`, string(text))
}
