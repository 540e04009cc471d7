package subid

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	const file = "root:1:2\nann:100000:65536\n# ann:1:1\n1000:300000:1000\nannabel:5:5\n"
	ranges, err := Parse(strings.NewReader(file), "ann", 1000)
	require.NoError(t, err)
	require.Equal(t, []Range{{100000, 65536}, {300000, 1000}}, ranges)

	for _, c := range []struct{ line, says string }{
		{"ann", `line 1: "ann" is not user:start:count`},
		{"ann:1:2:3", "is not user:start:count"},
		{"ann:-1:5", "is not a range of 32-bit ids"},
		{"ann:1:0", "is not a range of 32-bit ids"},
		{"ann:4294967295:1", "is not a range of 32-bit ids"},
		{"ann:1:4294967296", "is not a range of 32-bit ids"},
	} {
		_, err := Parse(strings.NewReader(c.line), "ann", 1000)
		require.ErrorContains(t, err, c.says)
	}
}

// FuzzParse: whatever is accepted can be written back and means the same.
func FuzzParse(f *testing.F) {
	f.Add("ann:100000:65536\n")
	f.Add("1000:1:1\nann:4294967294:1\n")
	f.Add("ann:1:2:3\nbob")
	f.Fuzz(func(t *testing.T, file string) {
		ranges, err := Parse(strings.NewReader(file), "ann", 1000)
		if err != nil {
			require.Nil(t, ranges)
			return
		}
		var again strings.Builder
		for _, r := range ranges {
			require.NotZero(t, r.Count)
			require.Less(t, uint64(r.Start)+uint64(r.Count), uint64(1)<<32)
			fmt.Fprintf(&again, "ann:%d:%d\n", r.Start, r.Count)
		}
		same, err := Parse(strings.NewReader(again.String()), "ann", 1000)
		require.NoError(t, err)
		require.Equal(t, ranges, same)
	})
}

func TestSum(t *testing.T) {
	require.Zero(t, Sum(nil))
	require.EqualValues(t, 1<<33-2, Sum([]Range{{0, 1<<32 - 1}, {5, 1<<32 - 1}}))
}

// as calls f on a thread that has an /etc of its own, and is another user.
func as(t *testing.T, uid int, etc string, f func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never again: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(etc, "/etc", "", unix.MS_BIND, "")
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); err == nil && errno != 0 {
			err = errno
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	require.NoError(t, <-done)
}

// TestGrants: an ordinary user needs ranges of both kinds and both programs, root the ranges alone.
func TestGrants(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an /etc of its own is a mount: run this as root")
	}
	const line, both = ":100000:65536\n", "newuidmap newgidmap"
	for _, c := range []struct {
		uid                      int
		subuid, subgid, programs string
		granted, many            bool
		says                     string
	}{
		{uid: 0, subuid: "root" + line, subgid: "root" + line, granted: true},
		{uid: 0, subuid: "ann" + line, subgid: "ann" + line},
		{uid: 1000, subuid: "ann" + line, subgid: "1000" + line, programs: both, granted: true, many: true},
		{uid: 1001, subuid: "1001" + line, subgid: "1001" + line, programs: both, granted: true, many: true},
		{uid: 1001, subuid: "ann" + line, subgid: "ann" + line, programs: both},
		{uid: 1000, subuid: "ann" + line, subgid: "ann" + line, programs: "newuidmap"},
		{uid: 1000, subuid: "ann" + line, subgid: "ann" + line, programs: "newgidmap"},
		{uid: 1000, subuid: "ann" + line, programs: both},
		{uid: 1000, subgid: "ann" + line, programs: both},
		{uid: 1000, subuid: "ann", programs: both, says: `/etc/subuid: line 1: "ann" is not user:start:count`},
		{uid: 1000, subgid: "ann:1:0", programs: both, says: `/etc/subgid: line 1: "ann:1:0" is not a range of 32-bit ids`},
	} {
		etc := t.TempDir()
		require.NoError(t, os.Chmod(etc, 0o755)) // for the other user, whatever the umask
		write := func(name, text string, mode os.FileMode) {
			if text != "" {
				path := filepath.Join(etc, name)
				require.NoError(t, os.WriteFile(path, []byte(text), mode))
				require.NoError(t, os.Chmod(path, mode))
			}
		}
		write("passwd", "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n", 0o644)
		write("subuid", c.subuid, 0o644)
		write("subgid", c.subgid, 0o644)
		for _, name := range strings.Fields(c.programs) {
			write(name, "#!/bin/sh\n", 0o755)
		}
		t.Setenv("PATH", "/etc")
		var want []Range
		if c.granted {
			want = []Range{{100000, 65536}}
		}
		var uids, gids []Range
		var many bool
		var err error
		as(t, c.uid, etc, func() { uids, gids, err = Grants(); many = HasMany() })
		if c.says != "" {
			require.EqualError(t, err, c.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, uids, c)
		require.Equal(t, want, gids, c)
		require.Equal(t, c.many, many, c)
	}
}
