// Package seccomp compiles a profile in Docker's format to a filter for seccomp(2): a program
// of classic BPF that the kernel runs at every system call, on its number and its arguments
// (Documentation/userspace-api/seccomp_filter.rst). [Default] and [Parse] return a profile as
// it applies to a process with certain capabilities; [Compile] returns the program. No call
// is made here. A lesson reads Filter, Compile and search: the program has to be fast, so it finds a
// number among several hundred by binary search. Conditions on arguments are in conditions.go,
// the numbers of each processor's system calls in machines.go and syscalls.txt.
package seccomp

import (
	"errors"
	"fmt"
	"slices"

	profiles "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Default returns Docker's default profile for a process with the capabilities caps, such as
// "CAP_CHOWN": which system calls it allows depends on them.
func Default(caps []string) (*specs.LinuxSeccomp, error) {
	return profiles.GetDefaultProfile(process(caps))
}

// Parse reads a profile, JSON in Docker's format, and keeps the rules that apply to a process
// with the capabilities caps. A profile without a defaultAction is an error.
func Parse(data []byte, caps []string) (*specs.LinuxSeccomp, error) {
	profile, err := profiles.LoadProfile(string(data), process(caps))
	if err != nil {
		return nil, err
	}
	if profile == nil || profile.DefaultAction == "" {
		return nil, errors.New("defaultAction is missing")
	}
	return profile, nil
}

func process(caps []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
}

// code is a program, or a part of one.
type code = []unix.SockFilter

// Offsets in struct seccomp_data, on which the program runs.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// x32 is where the numbers of a third set of system calls of x86-64 begin. It would be a way
// around a profile that only forbids some of the first set.
const x32 = 1 << 30

// noSuchCall has a system call fail as one that the kernel does not know.
const noSuchCall = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// maxInstructions is the kernel's limit, BPF_MAXINSNS.
const maxInstructions = 4096

// Compile translates a profile to a filter for SECCOMP_SET_MODE_FILTER. The program first
// asks which machine the call is of, then which number it has. A machine that the profile
// does not name has no system calls. Unless the profile allows what it does not name, a number
// above the largest that it names fails with ENOSYS, as in runc: the call is newer than the
// profile, and a libc then falls back to an older one. Errors: an unknown action or operator, a
// seventh argument, and a program of more than 4096 instructions.
func Compile(profile *specs.LinuxSeccomp) ([]unix.SockFilter, error) {
	program := code{load(offArch)}
	for i, m := range machines() {
		if i > 0 && !slices.Contains(profile.Architectures, m.arch) {
			continue
		}
		body, err := m.compile(profile)
		if err != nil {
			return nil, err
		}
		program = append(program, jump(unix.BPF_JEQ, m.audit, 1, 0), skip(len(body)))
		program = append(program, body...)
	}
	program = append(program, ret(noSuchCall)...)
	if len(program) > maxInstructions {
		return nil, fmt.Errorf("the seccomp profile makes %d instructions, and the kernel takes %d: "+
			"write fewer rules with arguments", len(program), maxInstructions)
	}
	return program, nil
}

// compile makes the part of the program for one machine.
func (m machine) compile(profile *specs.LinuxSeccomp) (code, error) {
	fallback, err := action(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	rules, err := compileRules(profile.Syscalls, m.numbers(), ret(fallback))
	if err != nil {
		return nil, err
	}
	largest := uint32(0)
	for n := range rules {
		largest = max(largest, n)
	}
	if len(rules) > 0 && !isPermissive(profile.DefaultAction) {
		rules[largest+1] = ret(noSuchCall)
	}
	list := append(spans(rules, ret(fallback), largest), span{x32, ret(noSuchCall)})
	return append(code{load(offNumber)}, search(list)...), nil
}

// isPermissive reports whether calls that a profile does not name are made. Of those, a tracer
// decides itself which the kernel does not know.
func isPermissive(fallback specs.LinuxSeccompAction) bool {
	return slices.Contains([]specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace},
		fallback)
}

// compileRules returns the code for each number that the profile names. Rules with conditions
// come before the one without; fallback follows where there is no such one.
func compileRules(syscalls []specs.LinuxSyscall, numbers map[string]uint32, fallback code,
) (map[uint32]code, error) {
	conditional, final := map[uint32]code{}, map[uint32]code{}
	for _, rule := range syscalls {
		result, err := action(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		tests, err := conditions(rule.Args, result)
		if err != nil {
			return nil, err
		}
		for _, name := range rule.Names {
			n, known := numbers[name]
			switch {
			case !known:
			case len(rule.Args) > 0:
				conditional[n] = append(conditional[n], tests...)
			case final[n] == nil:
				final[n] = ret(result)
			}
		}
	}
	for n, tests := range conditional {
		if final[n] == nil {
			final[n] = fallback
		}
		final[n] = append(tests, final[n]...)
	}
	return final, nil
}

// span is a range of numbers, up to the next span, that have the same code.
type span struct {
	from uint32
	do   code
}

// spans lists the code for every number from 0 to largest+1, in order.
func spans(rules map[uint32]code, fallback code, largest uint32) []span {
	var list []span
	for n := range largest + 2 {
		do, named := rules[n]
		if !named {
			do = fallback
		}
		if len(list) == 0 || !slices.Equal(do, list[len(list)-1].do) {
			list = append(list, span{n, do})
		}
	}
	return list
}

// search halves the spans until one is left. A conditional jump reaches 255 instructions;
// to go farther, it jumps over an unconditional one or does not.
func search(list []span) code {
	if len(list) == 1 {
		return list[0].do
	}
	middle := len(list) / 2
	lower, upper := search(list[:middle]), search(list[middle:])
	from := list[middle].from
	branch := code{jump(unix.BPF_JGE, from, len(lower), 0)}
	if len(lower) > 255 {
		branch = code{jump(unix.BPF_JGE, from, 0, 1), skip(len(lower))}
	}
	return append(append(branch, lower...), upper...)
}

// load loads the 32 bits at offset of struct seccomp_data.
func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// jump compares what was loaded with k by op, such as BPF_JEQ, and jumps over that many
// instructions.
func jump(op uint16, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: k}
}

// skip jumps over n instructions.
func skip(n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(n)}
}

// ret ends the program with its result.
func ret(result uint32) code { return code{{Code: unix.BPF_RET | unix.BPF_K, K: result}} }

// action returns the result that has the kernel do what the profile says. errno is also the
// number that a tracer gets; EPERM if nil.
func action(name specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(unix.EPERM)
	if errno != nil {
		data = uint32(*errno) & unix.SECCOMP_RET_DATA
	}
	switch name {
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | data, nil
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | data, nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	}
	return 0, fmt.Errorf("seccomp action %q: not supported; available: SCMP_ACT_ followed by ALLOW, ERRNO, KILL, KILL_PROCESS, TRAP, TRACE or LOG", name)
}
