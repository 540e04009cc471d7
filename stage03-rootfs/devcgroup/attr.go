package devcgroup

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LoadAttr is the part of union bpf_attr that BPF_PROG_LOAD of bpf(2) takes.
type LoadAttr struct {
	kind, count   uint32
	code, license unsafe.Pointer
}

// Load loads a program. The kernel lends its functions only to programs under the GPL.
func Load(code []Instruction) *LoadAttr {
	license := []byte("GPL\x00")
	return &LoadAttr{unix.BPF_PROG_TYPE_CGROUP_DEVICE, uint32(len(code)),
		unsafe.Pointer(&code[0]), unsafe.Pointer(&license[0])}
}

// String returns the attributes as strace writes them.
func (a *LoadAttr) String() string {
	return fmt.Sprintf("{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=%d, insns=%p, license=\"GPL\"}", a.count, a.code)
}

// AttachAttr is the part of union bpf_attr that BPF_PROG_ATTACH takes: the descriptors of a cgroup
// and a program, which are known when both are open.
type AttachAttr struct{ Group, Program, kind, flags uint32 }

// Attach attaches a program beside those of the groups above.
func Attach() *AttachAttr {
	return &AttachAttr{kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
}

// String returns the attributes as strace writes them, without the descriptors.
func (a *AttachAttr) String() string {
	return "{attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI}"
}
