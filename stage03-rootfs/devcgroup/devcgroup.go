// Package devcgroup has the rules of the device cgroup in the two forms that the kernel takes:
// as lines of version 1's files devices.allow and devices.deny, and as a program for cgroup
// version 2 that the kernel runs whenever a process opens or makes a device
// (BPF_PROG_TYPE_CGROUP_DEVICE of bpf(2)). The caller writes the lines, or loads the program.
package devcgroup

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Any is a major or minor number of a [Rule] that matches every number.
const Any = ^uint32(0)

// Rule allows access to the devices that it matches.
type Rule struct {
	Kind         uint32 // unix.S_IFCHR or unix.S_IFBLK
	Major, Minor uint32
	Access       string // of r, w and m: read, write, mknod
}

// String returns the rule as a line of version 1's files, such as "c 1:3 rwm".
func (r Rule) String() string {
	kind := "c"
	if r.Kind == unix.S_IFBLK {
		kind = "b"
	}
	return fmt.Sprintf("%s %s:%s %s", kind, number(r.Major), number(r.Minor), r.Access)
}

func number(n uint32) string {
	if n == Any {
		return "*"
	}
	return fmt.Sprint(n)
}

// Instruction is struct bpf_insn of linux/bpf.h; Registers has the source register in its
// upper half and the destination in the lower.
type Instruction struct {
	Code, Registers uint8
	Offset          int16
	Immediate       int32
}

// Opcodes, of 32-bit arithmetic where nothing else is said.
const (
	load   = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	move   = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X
	set    = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
	and    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	right  = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
	unless = unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K
	exit   = unix.BPF_JMP | unix.BPF_EXIT
)

// Compile returns a program for struct bpf_cgroup_dev_ctx, which register 1 points to: the
// requested access in the upper half of the first word, the kind in the lower, then the two
// numbers. It returns 1 if one rule allows all of the access, else 0. Registers 2 to 5 hold
// kind, access, major and minor; register 1 is then free for the access that a rule refuses.
func Compile(rules []Rule) []Instruction {
	code := []Instruction{{load, 0x12, 0, 0}, {and, 2, 0, 0xffff}, {load, 0x13, 0, 0},
		{right, 3, 0, 16}, {load, 0x14, 4, 0}, {load, 0x15, 8, 0}}
	for _, rule := range rules {
		code = append(code, rule.compile()...)
	}
	return append(code, Instruction{set, 0, 0, 0}, Instruction{exit, 0, 0, 0})
}

// compile returns the tests of one rule, each of which jumps to the next rule when it fails.
func (r Rule) compile() []Instruction {
	kind := int32(unix.BPF_DEVCG_DEV_CHAR)
	if r.Kind == unix.S_IFBLK {
		kind = unix.BPF_DEVCG_DEV_BLOCK
	}
	tests := []Instruction{{unless, 2, 0, kind}, {move, 0x31, 0, 0}, {and, 1, 0, r.refused()},
		{unless, 1, 0, 0}}
	for i, n := range []uint32{r.Major, r.Minor} {
		if n != Any {
			tests = append(tests, Instruction{unless, uint8(4 + i), 0, int32(n)})
		}
	}
	tests = append(tests, Instruction{set, 0, 0, 1}, Instruction{exit, 0, 0, 0})
	for i := range tests {
		if tests[i].Code == unless {
			tests[i].Offset = int16(len(tests) - i - 1)
		}
	}
	return tests
}

// refused is the access that the rule does not allow.
func (r Rule) refused() int32 {
	access := int32(unix.BPF_DEVCG_ACC_MKNOD | unix.BPF_DEVCG_ACC_READ | unix.BPF_DEVCG_ACC_WRITE)
	for _, letter := range r.Access {
		switch letter {
		case 'm':
			access &^= unix.BPF_DEVCG_ACC_MKNOD
		case 'r':
			access &^= unix.BPF_DEVCG_ACC_READ
		case 'w':
			access &^= unix.BPF_DEVCG_ACC_WRITE
		}
	}
	return access
}
