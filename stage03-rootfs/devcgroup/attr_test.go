package devcgroup

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The kernel takes the program, as one of the device cgroup.
func TestLoad(t *testing.T) {
	code := Compile(nil)
	load := Load(code)
	require.Regexp(t, fmt.Sprintf(`^\{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=%d, insns=0x[0-9a-f]+, license="GPL"\}$`, len(code)), load.String())
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(load)), unsafe.Sizeof(*load))
	if errno == unix.EPERM || errno == unix.ENOSYS {
		t.Skip("bpf(2) is not for this user, or not in this kernel")
	}
	require.Zero(t, errno)
	defer unix.Close(int(fd))
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`(?m)^prog_type:\s+%d$`, unix.BPF_PROG_TYPE_CGROUP_DEVICE), string(info))
}

// A descriptor that is no cgroup's is refused for that, and not for the attributes.
func TestAttach(t *testing.T) {
	attach := Attach()
	attach.Group = ^uint32(0)
	attach.Program = ^uint32(0)
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_ATTACH, uintptr(unsafe.Pointer(attach)), unsafe.Sizeof(*attach))
	require.Contains(t, []unix.Errno{unix.EBADF, unix.EPERM, unix.ENOSYS}, errno)
	require.Contains(t, attach.String(), "BPF_CGROUP_DEVICE")
}
