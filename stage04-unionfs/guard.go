// The device cgroup forbids to open any device but those that are allowed, whoever made its
// node: in version 1 by files of the devices controller, in version 2 by a program that the
// kernel runs whenever a device is opened or made (bpf(2)).
package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// allowed are the rules of the device cgroup: any node may be made, few may be opened.
func allowed(nodes []device) []device {
	anything := []device{{kind: unix.S_IFCHR, major: any32, minor: any32, access: "m"}, {kind: unix.S_IFBLK, major: any32, minor: any32, access: "m"}}
	terminals := []device{{kind: unix.S_IFCHR, major: 5, minor: 2, access: "rwm"}, {kind: unix.S_IFCHR, major: 136, minor: any32, access: "rwm"}}
	return append(append(anything, nodes...), terminals...)
}

const any32 = ^uint32(0)

// String is the rule as the devices controller of version 1 reads it, such as "c 1:3 rwm".
func (d device) String() string {
	number := func(n uint32) string {
		if n == any32 {
			return "*"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %s:%s %s", map[uint32]string{unix.S_IFCHR: "c", unix.S_IFBLK: "b"}[d.kind], number(d.major), number(d.minor), d.access)
}

// guard forbids all other devices, in the container's group. An ordinary user needs no
// guard: in a user namespace no device can be made, and the host's are the host's to open.
func (r *newRoot) guard(g *group) error {
	nodes, err := r.nodes()
	if err != nil || r.Privileged || r.Clone.Flags&unix.CLONE_NEWUSER != 0 {
		return err
	}
	for _, parent := range g.parents {
		if slices.Contains(parent.controllers, "devices") {
			r.guard1(filepath.Join(parent.dir, g.name), allowed(nodes))
			return nil
		}
	}
	for _, parent := range g.parents {
		if parent.v2 {
			r.guard2(filepath.Join(parent.dir, g.name), allowed(nodes))
			return nil
		}
	}
	return errors.New("there is no cgroup to keep the container from the host's devices with: mount version 2 at /sys/fs/cgroup, or allow all devices with --privileged")
}

// guard1 writes the rules of version 1.
func (r *newRoot) guard1(dir string, rules []device) {
	r.before.WriteFile(dir+"/devices.deny", "a").Why("no device at all …")
	fd := r.before.Add("openat", unix.SYS_OPENAT, plan.Cwd, dir+"/devices.allow", plan.Sym(unix.O_WRONLY|unix.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")).Result()
	for _, rule := range rules {
		r.before.Write(fd, rule.String()).Why("… but this")
	}
	r.before.Close(fd)
}

// guard2 attaches a program to the group of version 2.
func (r *newRoot) guard2(dir string, rules []device) {
	code := deviceProgram(rules)
	license := []byte("GPL\x00")
	load := &bpfLoad{kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(code)), code: unsafe.Pointer(&code[0]), license: unsafe.Pointer(&license[0])}
	attach := &bpfAttach{kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
	group := r.before.OpenDir(dir)
	group.Then(func() { attach.target = uint32(group.Ret) })
	group.Result()
	program := r.before.Add("bpf", unix.SYS_BPF, plan.Sym(unix.BPF_PROG_LOAD, "BPF_PROG_LOAD"),
		plan.Ptr(unsafe.Pointer(load), fmt.Sprintf("{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=%d, insns=%p, license=\"GPL\"}", len(code), &code[0])),
		int(unsafe.Sizeof(*load))).Retry().Why("a program of the kernel's, run whenever a device is opened")
	program.Then(func() { attach.program = uint32(program.Ret) })
	program.Result()
	r.before.Add("bpf", unix.SYS_BPF, plan.Sym(unix.BPF_PROG_ATTACH, "BPF_PROG_ATTACH"),
		plan.Ptr(unsafe.Pointer(attach), "{attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI}"), int(unsafe.Sizeof(*attach))).
		Why("no device but those that it allows")
	r.before.Close(program.Result())
	r.before.Close(group.Result())
}

// bpfLoad and bpfAttach are the parts of union bpf_attr that two commands of bpf(2) take.
type bpfLoad struct {
	kind, count   uint32
	code, license unsafe.Pointer
}

type bpfAttach struct{ target, program, kind, flags uint32 }

// instruction is struct bpf_insn; registers holds the source in its upper half.
type instruction struct {
	code, registers uint8
	offset          int16
	immediate       int32
}

// deviceProgram compiles rules for struct bpf_cgroup_dev_ctx, which register 1 points to:
// the access wanted in the upper half of the first word, the kind in the lower, then the
// two numbers. It returns 1 when a rule allows all of the access, else 0. Registers 2 to 5
// get kind, access, major and minor; 1 is free then, for what of the access is refused.
func deviceProgram(rules []device) []instruction {
	const (
		load   = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
		move   = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X
		set    = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
		and    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		right  = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
		unless = unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K
		exit   = unix.BPF_JMP | unix.BPF_EXIT
	)
	access := map[rune]int32{'m': unix.BPF_DEVCG_ACC_MKNOD, 'r': unix.BPF_DEVCG_ACC_READ, 'w': unix.BPF_DEVCG_ACC_WRITE}
	code := []instruction{{load, 0x12, 0, 0}, {and, 2, 0, 0xffff}, {load, 0x13, 0, 0}, {right, 3, 0, 16}, {load, 0x14, 4, 0}, {load, 0x15, 8, 0}}
	for _, rule := range rules {
		kind, refused := int32(unix.BPF_DEVCG_DEV_CHAR), int32(7)
		if rule.kind == unix.S_IFBLK {
			kind = unix.BPF_DEVCG_DEV_BLOCK
		}
		for _, letter := range rule.access {
			refused &^= access[letter]
		}
		tests := []instruction{{unless, 2, 0, kind}, {move, 0x31, 0, 0}, {and, 1, 0, refused}, {unless, 1, 0, 0}}
		for i, n := range []uint32{rule.major, rule.minor} {
			if n != any32 {
				tests = append(tests, instruction{unless, uint8(4 + i), 0, int32(n)})
			}
		}
		tests = append(tests, instruction{set, 0, 0, 1}, instruction{exit, 0, 0, 0})
		for i := range tests {
			if tests[i].code == unless {
				tests[i].offset = int16(len(tests) - i - 1) // to the next rule
			}
		}
		code = append(code, tests...)
	}
	return append(code, instruction{set, 0, 0, 0}, instruction{exit, 0, 0, 0})
}
