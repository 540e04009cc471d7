package vm

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs a command in the machine, or says which packages are missing.
func run(t *testing.T, command ...string) (int, string) {
	var out bytes.Buffer
	status, err := Job{Command: command, Memory: 512}.Run(t.Context(), &out)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return status, out.String()
}

// The machine is what the stages need: one tree of groups, with all controllers, and a
// root that pivot_root can leave.
func TestMachine(t *testing.T) {
	status, out := run(t, "sh", "-c", `
		grep -c cgroup /proc/mounts; grep -c "cgroup2" /proc/mounts
		for c in memory cpu pids io cpuset; do grep -qw $c /sys/fs/cgroup/cgroup.controllers || echo no $c; done
		mount --bind /root /root && cd /root && mkdir old && unshare -m pivot_root . old && echo pivoted
		echo "it's as it is"; exit 7`)
	require.Equal(t, "1\n1\npivoted\nit's as it is\n", out)
	require.Equal(t, 7, status)
}

func TestMissingPartsAreNamedWithTheirPackages(t *testing.T) {
	err := missingError([]part{{"the program a", "pkg-a"}, {"a kernel", "pkg-k"}})
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "the program a, a kernel")
	require.ErrorContains(t, err, "apt-get install --no-install-recommends pkg-a pkg-k")
	require.NoError(t, missingError(nil))
}

func TestModulesComeWithWhatTheyNeed(t *testing.T) {
	dep := "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n" +
		"kernel/net/802/stp.ko: kernel/net/llc/llc.ko\nkernel/net/llc/llc.ko:\nkernel/x/nft-ct.ko.xz:\nkernel/x/other.ko:\n"
	require.Equal(t, []string{"kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko", "kernel/net/llc/llc.ko", "kernel/x/nft-ct.ko.xz"},
		withDependencies([]byte(dep), []string{"bridge", "nft_ct", "built_in"}))
}

// The archive is read by the kernel; the numbers are those of cpio(5).
func TestArchive(t *testing.T) {
	a := &archive{}
	a.file("/a/b", 0o755, []byte("12345"))
	data := a.finish()
	require.Zero(t, len(data)%4)
	want := "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "a\x00"
	require.Equal(t, want, string(data[:len(want)]))
	require.Contains(t, string(data), "a/b\x00")
	require.Contains(t, string(data), "12345\x00\x00\x00")
	require.Contains(t, string(data), "TRAILER!!!\x00")
}

// However the bytes arrive, all before the ending is passed on, and nothing of it.
func TestEnding(t *testing.T) {
	const printed, all = "a\x04b\x04exitc", "a\x04b\x04exitc\x04exit 42\x04"
	for size := 1; size <= len(all); size++ {
		var out bytes.Buffer
		ends := 0
		e := &ending{out: &out, seen: func() { ends++ }}
		for rest := []byte(all); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			_, err := e.Write(rest[:min(size, len(rest))])
			require.NoError(t, err)
		}
		status, ok := e.status()
		require.True(t, ok, "%d bytes at a time", size)
		require.Equal(t, 42, status)
		require.Equal(t, printed, out.String())
		require.Equal(t, 1, ends)
	}
}
