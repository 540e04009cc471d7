package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// conditions compiles a rule's tests of arguments: the program ends with result if all hold,
// and goes on with the next instruction otherwise. Two tests of the same argument are
// alternatives, as in runc.
func conditions(args []specs.LinuxSeccompArg, result uint32) (code, error) {
	if repeated(args) {
		return alternatives(args, result)
	}
	var tests code
	for i := len(args) - 1; i >= 0; i-- { // from the end: how far a failure jumps is known
		test, err := condition(args[i], len(tests)+1)
		if err != nil {
			return nil, err
		}
		tests = append(test, tests...)
	}
	return append(tests, ret(result)...), nil
}

// repeated reports whether two tests are of the same argument.
func repeated(args []specs.LinuxSeccompArg) bool {
	seen := map[uint]bool{}
	for _, arg := range args {
		if seen[arg.Index] {
			return true
		}
		seen[arg.Index] = true
	}
	return false
}

// alternatives compiles tests of which one is enough.
func alternatives(args []specs.LinuxSeccompArg, result uint32) (all code, err error) {
	for _, arg := range args {
		one, err := conditions([]specs.LinuxSeccompArg{arg}, result)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// condition tests one argument of 64 bits, the high half first, and jumps over the next rest
// instructions if the test fails.
func condition(arg specs.LinuxSeccompArg, rest int) (code, error) {
	if arg.Index > 5 {
		return nil, fmt.Errorf("the seccomp profile tests argument %d, "+
			"and they are numbered from 0 to 5", arg.Index)
	}
	loadLow, loadHigh := load(offArgs+8*uint32(arg.Index)), load(offArgs+8*uint32(arg.Index)+4)
	value := arg.Value
	if arg.Op == specs.OpMaskedEqual {
		value = arg.ValueTwo
	}
	high := func(op uint16, yes, no int) unix.SockFilter {
		return jump(op, uint32(value>>32), yes, no)
	}
	low := func(op uint16, yes, no int) unix.SockFilter {
		return jump(op, uint32(value), yes, no)
	}
	const equal, greater, greaterEqual = unix.BPF_JEQ, unix.BPF_JGT, unix.BPF_JGE
	switch arg.Op {
	case specs.OpMaskedEqual:
		return code{loadHigh, and(arg.Value >> 32), high(equal, 0, 3+rest),
			loadLow, and(arg.Value), low(equal, 0, rest)}, nil
	case specs.OpEqualTo:
		return code{loadHigh, high(equal, 0, 2+rest), loadLow, low(equal, 0, rest)}, nil
	case specs.OpNotEqual:
		return code{loadHigh, high(equal, 0, 2), loadLow, low(equal, rest, 0)}, nil
	case specs.OpGreaterThan:
		return code{loadHigh, high(greater, 3, 0), high(equal, 0, 2+rest),
			loadLow, low(greater, 0, rest)}, nil
	case specs.OpGreaterEqual:
		return code{loadHigh, high(greater, 3, 0), high(equal, 0, 2+rest),
			loadLow, low(greaterEqual, 0, rest)}, nil
	case specs.OpLessThan:
		return code{loadHigh, high(greater, 3+rest, 0), high(equal, 0, 2),
			loadLow, low(greaterEqual, rest, 0)}, nil
	case specs.OpLessEqual:
		return code{loadHigh, high(greater, 3+rest, 0), high(equal, 0, 2),
			loadLow, low(greater, rest, 0)}, nil
	}
	return nil, fmt.Errorf("the seccomp profile compares with %q, which is not an operator", arg.Op)
}

// and keeps the bits of a mask, of which it takes the low half.
func and(mask uint64) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(mask)}
}
