// Seccomp lets a program of the kernel's small machine decide over every system call, by
// its number and arguments (seccomp(2), Documentation/networking/filter.rst). Which calls
// are allowed is Docker's profile; it is compiled here. A search among a few hundred
// numbers has to be fast, so the numbers are sorted and halved, as in a binary search.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	profiles "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// usualFilter is the filter of most containers. It takes half a millisecond to compile, so
// another processor does it while this one still reads the flags.
var usualFilter = sync.OnceValues(func() (code, error) { return compileFor("", usualCaps) })

func init() {
	if len(os.Args) > 1 && (os.Args[1] == "run" || os.Args[1] == "exec") {
		go usualFilter()
	}
}

// filter reads the profile and compiles it; no code is no filter.
func (s security) filter(caps capset) (code, error) {
	switch {
	case s.profile == "unconfined":
		return nil, nil
	case s.profile == "" && caps == usualCaps:
		return usualFilter()
	}
	return compileFor(s.profile, caps)
}

// compileFor compiles a profile from a file, or the default one: it depends on the
// capabilities which system calls make sense.
func compileFor(path string, caps capset) (code, error) {
	var names []string
	for i, name := range capabilities {
		if caps>>i&1 == 1 {
			names = append(names, "CAP_"+name)
		}
	}
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: names}}}
	var profile *specs.LinuxSeccomp
	var err error
	if path == "" {
		profile, err = profiles.GetDefaultProfile(spec)
	} else {
		profile, err = loadProfile(path, spec)
	}
	if err != nil {
		return nil, err
	}
	return compile(profile)
}

func loadProfile(path string, spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--security-opt seccomp=%s: %w", path, err)
	}
	profile, err := profiles.LoadProfile(string(data), spec)
	if err == nil && (profile == nil || profile.DefaultAction == "") {
		err = fmt.Errorf("it has no defaultAction")
	}
	if err != nil {
		return nil, fmt.Errorf("--security-opt seccomp=%s is not a profile: %w", path, err)
	}
	return profile, nil
}

// Seccomp is seccomp(2). No code plans nothing.
func (p *Plan) Seccomp(code []unix.SockFilter) {
	if len(code) == 0 {
		return
	}
	program := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	p.Add("seccomp", unix.SYS_SECCOMP, plan.Sym(unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"), 0,
		plan.Ptr(unsafe.Pointer(program), fmt.Sprintf("{len=%d, filter=%p}", len(code), &code[0]))).
		Why("from here on, only the system calls of a list").Look("grep Seccomp /proc/PID/status")
}

//go:embed syscalls.txt
var syscallTable string

// machine is a set of system calls of a processor: its name in profiles, how seccomp_data
// names it, and its column in syscalls.txt.
type machine struct {
	arch   specs.Arch
	audit  uint32
	column int
}

// machines are those that run one another's programs: the first is box's own.
func machines() []machine {
	if runtime.GOARCH == "arm64" {
		return []machine{{specs.ArchAARCH64, unix.AUDIT_ARCH_AARCH64, 3}, {specs.ArchARM, unix.AUDIT_ARCH_ARM, 4}}
	}
	return []machine{{specs.ArchX86_64, unix.AUDIT_ARCH_X86_64, 1}, {specs.ArchX86, unix.AUDIT_ARCH_I386, 2}}
}

// numbers are the system calls of a machine, and the largest that the table knows.
func (m machine) numbers() (numbers map[string]uint32, largest uint32) {
	numbers = map[string]uint32{}
	for line := range strings.Lines(syscallTable) {
		f := strings.Fields(line)
		if n, err := strconv.ParseUint(f[min(m.column, len(f)-1)], 10, 32); err == nil {
			numbers[f[0]] = uint32(n)
			largest = max(largest, uint32(n))
		}
	}
	return numbers, largest
}

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// x32 is where the numbers of a third set of system calls of x86-64 begin. It would be a way
// around a profile that only forbids some of the first.
const x32 = 1 << 30

type code = []unix.SockFilter

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func ret(action uint32) code { return code{{Code: unix.BPF_RET | unix.BPF_K, K: action}} }

// compile makes the filter: which machine is it, then which number. A machine that the
// profile does not name has no system calls, and a number that nobody knew when it was
// written does not exist either: programs then fall back to what they used before.
func compile(profile *specs.LinuxSeccomp) (code, error) {
	otherwise, err := action(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	unknown := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	program := code{load(offArch)}
	for i, m := range machines() {
		if i > 0 && !slices.Contains(profile.Architectures, m.arch) {
			continue
		}
		numbers, largest := m.numbers()
		rules, err := m.rules(profile.Syscalls, numbers, ret(otherwise))
		if err != nil {
			return nil, err
		}
		if otherwise != unix.SECCOMP_RET_ALLOW {
			rules[largest+1] = ret(unknown)
		}
		list := append(spans(rules, ret(otherwise), largest), span{x32, ret(unknown)})
		body := append(code{load(offNumber)}, search(list)...)
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: m.audit},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(body))})
		program = append(program, body...)
	}
	program = append(program, ret(unknown)...)
	if len(program) > 4096 {
		return nil, fmt.Errorf("the seccomp profile makes %d instructions, and the kernel takes 4096: write fewer rules with arguments", len(program))
	}
	return program, nil
}

// rules compiles what is to be done for each number that the profile names. Rules with
// conditions come before one without.
func (m machine) rules(syscalls []specs.LinuxSyscall, numbers map[string]uint32, otherwise code) (map[uint32]code, error) {
	conditional, final := map[uint32]code{}, map[uint32]code{}
	for _, rule := range syscalls {
		what, err := action(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		tests, err := conditions(rule.Args, what)
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
				final[n] = ret(what)
			}
		}
	}
	for n, tests := range conditional {
		if final[n] == nil {
			final[n] = otherwise
		}
		final[n] = append(tests, final[n]...)
	}
	return final, nil
}

// span is a run of numbers from one on for which the same is done.
type span struct {
	from uint32
	do   code
}

// spans lists what is done for every number from 0 on, in order.
func spans(rules map[uint32]code, otherwise code, largest uint32) []span {
	var list []span
	for n := range largest + 2 {
		do, named := rules[n]
		if !named {
			do = otherwise
		}
		if len(list) == 0 || !slices.Equal(do, list[len(list)-1].do) {
			list = append(list, span{n, do})
		}
	}
	return list
}

// search halves the spans until one is left. A conditional jump reaches 255 instructions;
// one that goes farther skips an unconditional one.
func search(list []span) code {
	if len(list) == 1 {
		return list[0].do
	}
	middle := len(list) / 2
	lower, upper := search(list[:middle]), search(list[middle:])
	jump := code{{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jt: uint8(len(lower)), K: list[middle].from}}
	if len(lower) > 255 {
		jump = code{{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: list[middle].from},
			{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(lower))}}
	}
	return append(append(jump, lower...), upper...)
}

// conditions compiles a rule's tests of arguments: what when all hold, else on to the next
// instruction. Two tests of the same argument are alternatives, as in runc.
func conditions(args []specs.LinuxSeccompArg, what uint32) (code, error) {
	seen := map[uint]bool{}
	for _, arg := range args {
		if seen[arg.Index] {
			var all code
			for _, arg := range args {
				one, err := conditions([]specs.LinuxSeccompArg{arg}, what)
				if err != nil {
					return nil, err
				}
				all = append(all, one...)
			}
			return all, nil
		}
		seen[arg.Index] = true
	}
	var tests code
	for i := len(args) - 1; i >= 0; i-- { // from the end: how far a failure jumps is known
		test, err := condition(args[i], len(tests)+1)
		if err != nil {
			return nil, err
		}
		tests = append(test, tests...)
	}
	return append(tests, ret(what)...), nil
}

// condition tests one argument of 64 bits, by halves, and jumps over the next rest
// instructions when it fails.
func condition(arg specs.LinuxSeccompArg, rest int) (code, error) {
	if arg.Index > 5 {
		return nil, fmt.Errorf("the seccomp profile tests argument %d, and they are numbered from 0 to 5", arg.Index)
	}
	low, high := load(offArgs+8*uint32(arg.Index)), load(offArgs+8*uint32(arg.Index)+4)
	value := arg.Value
	mask := ^uint64(0)
	test := func(code uint16, k uint64, half, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | code | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: uint32(k >> (32 * half))}
	}
	and := func(half int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(mask >> (32 * half))}
	}
	switch arg.Op {
	case specs.OpMaskedEqual:
		mask, value = arg.Value, arg.ValueTwo
		return code{high, and(1), test(unix.BPF_JEQ, value, 1, 0, 3+rest), low, and(0), test(unix.BPF_JEQ, value, 0, 0, rest)}, nil
	case specs.OpEqualTo:
		return code{high, test(unix.BPF_JEQ, value, 1, 0, 2+rest), low, test(unix.BPF_JEQ, value, 0, 0, rest)}, nil
	case specs.OpNotEqual:
		return code{high, test(unix.BPF_JEQ, value, 1, 0, 2), low, test(unix.BPF_JEQ, value, 0, rest, 0)}, nil
	case specs.OpGreaterThan:
		return code{high, test(unix.BPF_JGT, value, 1, 3, 0), test(unix.BPF_JEQ, value, 1, 0, 2+rest), low, test(unix.BPF_JGT, value, 0, 0, rest)}, nil
	case specs.OpGreaterEqual:
		return code{high, test(unix.BPF_JGT, value, 1, 3, 0), test(unix.BPF_JEQ, value, 1, 0, 2+rest), low, test(unix.BPF_JGE, value, 0, 0, rest)}, nil
	case specs.OpLessThan:
		return code{high, test(unix.BPF_JGT, value, 1, 3+rest, 0), test(unix.BPF_JEQ, value, 1, 0, 2), low, test(unix.BPF_JGE, value, 0, rest, 0)}, nil
	case specs.OpLessEqual:
		return code{high, test(unix.BPF_JGT, value, 1, 3+rest, 0), test(unix.BPF_JEQ, value, 1, 0, 2), low, test(unix.BPF_JGT, value, 0, rest, 0)}, nil
	}
	return nil, fmt.Errorf("the seccomp profile compares with %q, which is not an operator", arg.Op)
}

// action is what the kernel does, as the filter's result.
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
	return 0, fmt.Errorf("the seccomp profile wants %q, which box does not do: there are ALLOW, ERRNO, KILL, KILL_PROCESS, TRAP, TRACE and LOG after SCMP_ACT_", name)
}
