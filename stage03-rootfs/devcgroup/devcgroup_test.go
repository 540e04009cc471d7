package devcgroup

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLine(t *testing.T) {
	require.Equal(t, "c 136:* rwm", Rule{unix.S_IFCHR, 136, Any, "rwm"}.String())
	require.Equal(t, "b *:* m", Rule{unix.S_IFBLK, Any, Any, "m"}.String())
}

func TestParse(t *testing.T) {
	rules, err := Parse([]string{"c 42:* rmw", "b 8:0 r", "a *:7 m"})
	require.NoError(t, err)
	require.Equal(t, []Rule{{unix.S_IFCHR, 42, Any, "rmw"}, {unix.S_IFBLK, 8, 0, "r"}, {unix.S_IFCHR, Any, 7, "m"}, {unix.S_IFBLK, Any, 7, "m"}}, rules)
	for _, wrong := range []string{"", "c 1:3", "c 1:3 x", "c 1:3 rwmr", "d 1:3 r", "c -1:3 r", "c 1:1048576 r", "c 99999999999999999999:1 r", "c 1 r", " c 1:3 r", "c 1:3 r\n"} {
		require.ErrorContains(t, Check([]string{wrong}), "--device-cgroup-rule", wrong)
	}
}

// run interprets a program for one request, as the kernel does.
func run(t *testing.T, code []Instruction, kind, access, major, minor uint32) uint64 {
	context := map[int16]uint64{0: uint64(access<<16 | kind), 4: uint64(major), 8: uint64(minor)}
	var registers [11]uint64
	for at := 0; ; at++ {
		in := code[at]
		to, from := in.Registers&15, in.Registers>>4
		switch in.Code {
		case load:
			registers[to] = context[in.Offset]
		case move:
			registers[to] = registers[from]
		case set:
			registers[to] = uint64(in.Immediate)
		case and:
			registers[to] = uint64(uint32(registers[to]) & uint32(in.Immediate))
		case right:
			registers[to] = uint64(uint32(registers[to]) >> in.Immediate)
		case unless:
			if registers[to] != uint64(in.Immediate) {
				at += int(in.Offset)
			}
		case exit:
			return registers[0]
		default:
			require.Failf(t, "unknown instruction", "%+v", in)
		}
	}
}

func TestCompile(t *testing.T) {
	code := Compile([]Rule{
		{unix.S_IFCHR, Any, Any, "m"}, {unix.S_IFCHR, 1, 3, "rw"}, {unix.S_IFBLK, 8, Any, "r"},
	})
	const char, block = unix.BPF_DEVCG_DEV_CHAR, unix.BPF_DEVCG_DEV_BLOCK
	const mknod, read, write = unix.BPF_DEVCG_ACC_MKNOD, unix.BPF_DEVCG_ACC_READ, unix.BPF_DEVCG_ACC_WRITE
	for _, c := range []struct {
		kind, access, major, minor uint32
		want                       uint64
	}{
		{char, mknod, 7, 7, 1}, {block, mknod, 7, 7, 0},
		{char, read, 1, 3, 1}, {char, read | write, 1, 3, 1}, {char, read, 1, 5, 0}, {char, read, 2, 3, 0},
		{char, read | mknod, 1, 3, 0}, // no one rule allows both
		{block, read, 8, 17, 1}, {block, write, 8, 17, 0}, {block, read, 1, 3, 0},
	} {
		require.Equal(t, c.want, run(t, code, c.kind, c.access, c.major, c.minor), "%+v", c)
	}
	require.Zero(t, run(t, Compile(nil), char, read, 1, 3))
}
