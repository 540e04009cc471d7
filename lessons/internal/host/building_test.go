package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestBuilding(t *testing.T) {
	h := made(nil)
	h.Disk = Disk{Dir: "/d", Unnamed: Outcome{Call: "open", Errno: unix.EOPNOTSUPP}}
	require.Equal(t, "locks unknown", locks(h).Brief)
	require.Equal(t, "attributes unknown", attributes(h).Brief)
	h.Disk = Disk{Xattr: eperm, Lock: eperm, CaseLess: true}
	require.Equal(t, No, locks(h).State)
	require.Equal(t, Less, attributes(h).State)
	require.Equal(t, Less, caseOfNames(h).State)
	h.with(map[string]string{mountinfo: "1 0 8:1 / / rw - ext4 a rw\n2 1 0:8 / /dev/shm rw - tmpfs shm rw", "/tmp/x": "", "/dev/shm/x": ""})
	h.Disk.Dir = "/home"
	require.Equal(t, []string{"export BOX_ROOT=/dev/shm/box-1000   # on tmpfs"}, attributes(h).Mend, "/tmp has the same fault as /home")
}

func TestClock(t *testing.T) {
	h := made(nil)
	require.Equal(t, OK, clock(h).State)
	for _, years := range []int{-56, 30} {
		h := made(nil)
		h.Now = h.Now.AddDate(years, 0, 0)
		require.Equal(t, Less, clock(h).State, years)
	}
}
