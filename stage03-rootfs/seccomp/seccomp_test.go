package seccomp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// decide runs a filter as the kernel does, on struct seccomp_data.
func decide(t testing.TB, program code, arch, number uint32, args [6]uint64) uint32 {
	data := binary.LittleEndian.AppendUint32(nil, number)
	data = binary.LittleEndian.AppendUint32(data, arch)
	data = binary.LittleEndian.AppendUint64(data, 0)
	for _, arg := range args {
		data = binary.LittleEndian.AppendUint64(data, arg)
	}
	a := uint32(0)
	for pc := 0; pc < len(program); pc++ {
		i := program[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		}
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[i.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == i.K)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			jump(a > i.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= i.K)
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d: %+v", pc, i)
		}
	}
	t.Fatal("the program has no end")
	return 0
}

// TestConditions compiles random rules and holds every decision against a plain reading.
func TestConditions(t *testing.T) {
	ops := map[specs.LinuxSeccompOperator]func(arg, value, two uint64) bool{
		specs.OpEqualTo:      func(a, v, _ uint64) bool { return a == v },
		specs.OpNotEqual:     func(a, v, _ uint64) bool { return a != v },
		specs.OpLessThan:     func(a, v, _ uint64) bool { return a < v },
		specs.OpLessEqual:    func(a, v, _ uint64) bool { return a <= v },
		specs.OpGreaterThan:  func(a, v, _ uint64) bool { return a > v },
		specs.OpGreaterEqual: func(a, v, _ uint64) bool { return a >= v },
		specs.OpMaskedEqual:  func(a, v, two uint64) bool { return a&v == two },
	}
	random := rand.New(rand.NewPCG(1, 2))
	value := func() uint64 { return []uint64{0, 1, 7, 1 << 32, 1<<32 + 1, 7 << 32, ^uint64(0)}[random.IntN(7)] }
	m := machines()[0]
	numbers := m.numbers()
	for range 3000 {
		var rule specs.LinuxSyscall
		rule.Names, rule.Action = []string{"write"}, specs.ActAllow
		var tests []func(args [6]uint64) bool
		for index := range random.IntN(3) + 1 {
			for op, holds := range ops { // in random order
				arg := specs.LinuxSeccompArg{Index: uint(index), Value: value(), ValueTwo: value(), Op: op}
				rule.Args = append(rule.Args, arg)
				tests = append(tests, func(args [6]uint64) bool { return holds(args[arg.Index], arg.Value, arg.ValueTwo) })
				break
			}
		}
		program, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule}})
		require.NoError(t, err)
		args := [6]uint64{value(), value(), value()}
		want := uint32(unix.SECCOMP_RET_ALLOW)
		for _, test := range tests {
			if !test(args) {
				want = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
			}
		}
		require.Equal(t, want, decide(t, program, m.audit, numbers["write"], args), "%+v with %v", rule, args)
	}
}

// dockerCaps are the capabilities of a container of Docker's.
var dockerCaps = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP"}

func compileDefault(t testing.TB, caps ...string) code {
	profile, err := Default(caps)
	require.NoError(t, err)
	program, err := Compile(profile)
	require.NoError(t, err)
	return program
}

// The compiled program is the one that the compiler makes of the profile.
func TestCompiled(t *testing.T) {
	if !HasCompiled {
		t.Skip("there is none for this processor")
	}
	want := compileDefault(t, dockerCaps...)
	if os.Getenv("SECCOMP_WRITE") != "" {
		var file bytes.Buffer
		require.NoError(t, binary.Write(&file, binary.NativeEndian, want))
		require.NoError(t, os.WriteFile("default_"+runtime.GOARCH+".bpf", file.Bytes(), 0o644))
		t.Skip("written; run the test again")
	}
	require.Equal(t, want, Compiled())
	require.NotEqual(t, compileDefault(t, append(dockerCaps, "CAP_SYS_ADMIN")...), Compiled(), "the control")
}

func TestDefaultProfile(t *testing.T) {
	program := compileDefault(t, dockerCaps...)
	allow, refuse := uint32(unix.SECCOMP_RET_ALLOW), uint32(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
	none := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	for _, m := range machines() {
		numbers := m.numbers()
		for name, want := range map[string]uint32{"read": allow, "execve": allow, "ptrace": allow, "keyctl": refuse, "mount": refuse,
			"unshare": refuse, "clone3": none, "bpf": refuse, "reboot": refuse, "chroot": allow, "init_module": refuse} {
			require.Equal(t, want, decide(t, program, m.audit, numbers[name], [6]uint64{}), "%s %s", m.arch, name)
		}
		require.Equal(t, none, decide(t, program, m.audit, 0x40000000|numbers["read"], [6]uint64{}), "x32")
		require.Equal(t, refuse, decide(t, program, m.audit, numbers["clone"], [6]uint64{unix.CLONE_NEWUSER}))
		require.Equal(t, allow, decide(t, program, m.audit, numbers["clone"], [6]uint64{unix.CLONE_VM}))
	}
	require.Equal(t, none, decide(t, program, 12345, 0, [6]uint64{}), "another machine")
	admin := compileDefault(t, append(dockerCaps, "CAP_SYS_ADMIN")...)
	numbers := machines()[0].numbers()
	require.Equal(t, allow, decide(t, admin, machines()[0].audit, numbers["mount"], [6]uint64{}))
}

func TestNoWayAroundAListOfForbiddenCalls(t *testing.T) {
	program, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow,
		Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno}}})
	require.NoError(t, err)
	m := machines()[0]
	numbers := m.numbers()
	for number, want := range map[uint32]uint32{
		numbers["mkdirat"]:              unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
		numbers["mkdirat"] | 0x40000000: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), // x32's
		100000:                          unix.SECCOMP_RET_ALLOW,
	} {
		require.Equal(t, want, decide(t, program, m.audit, number, [6]uint64{}), number)
	}
}

// TestCallsNewerThanTheProfile: runc's rule. Above the largest number that the profile names for
// a machine a call does not exist; up to there it is what the profile says.
func TestCallsNewerThanTheProfile(t *testing.T) {
	none := unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	says := map[specs.LinuxSeccompAction][2]uint32{ // below the largest, and above
		specs.ActErrno: {unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), none},
		specs.ActKill:  {unix.SECCOMP_RET_KILL_THREAD, none},
		specs.ActAllow: {unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ALLOW},
		specs.ActLog:   {unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_LOG},
		specs.ActTrace: {unix.SECCOMP_RET_TRACE | uint32(unix.EPERM), unix.SECCOMP_RET_TRACE | uint32(unix.EPERM)},
	}
	for fallback, want := range says {
		program, err := Compile(&specs.LinuxSeccomp{DefaultAction: fallback, Architectures: []specs.Arch{machines()[1].arch},
			Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "uname"}, Action: specs.ActAllow}}})
		require.NoError(t, err)
		for _, m := range machines() {
			last := m.numbers()["uname"]
			require.EqualValues(t, unix.SECCOMP_RET_ALLOW, decide(t, program, m.audit, last, [6]uint64{}))
			require.Equal(t, want[0], decide(t, program, m.audit, last-1, [6]uint64{}), "%s %s", m.arch, fallback)
			for _, above := range []uint32{last + 1, m.numbers()["openat2"], 9999} {
				require.Equal(t, want[1], decide(t, program, m.audit, above, [6]uint64{}), "%s %s %d", m.arch, fallback, above)
			}
		}
	}
	program, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno})
	require.NoError(t, err)
	require.Equal(t, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM), decide(t, program, machines()[0].audit, 9999, [6]uint64{}),
		"a profile that names no call has no largest one")
}

// TestSyscallNumbers holds syscalls.txt against the tables of the package that made it.
func TestSyscallNumbers(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	require.NoError(t, err)
	define := regexp.MustCompile(`SYS_(\w+)\s*=\s*(\d+)`)
	for column, arch := range []string{"amd64", "386", "arm64", "arm"} {
		source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "unix/zsysnum_linux_"+arch+".go"))
		require.NoError(t, err)
		ours := machine{column: column + 1}.numbers()
		found := 0
		for _, match := range define.FindAllStringSubmatch(string(source), -1) {
			name := strings.ToLower(match[1])
			if arch == "arm64" && name == "fstatat" {
				name = "newfstatat" // what the kernel calls it
			}
			if number, ok := ours[name]; ok {
				require.Equal(t, match[2], fmt.Sprint(number), "%s %s", arch, name)
				found++
			}
		}
		require.Equal(t, len(ours), found, arch)
	}
}

func FuzzProfile(f *testing.F) {
	f.Add(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":9,"op":"SCMP_CMP_EQ"}]}]}`)
	f.Add(`{"defaultAction":"SCMP_ACT_KILL"}`)
	f.Add(`{}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, text string) {
		profile, err := Parse([]byte(text), dockerCaps)
		if err != nil {
			return
		}
		if program, err := Compile(profile); err == nil {
			decide(t, program, machines()[0].audit, 0, [6]uint64{})
		}
	})
}
