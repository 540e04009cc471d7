package seccomp

import (
	_ "embed"
	"runtime"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

//go:embed syscalls.txt
var syscallTable string

// machine is a set of system calls of a processor: its name in profiles, its number in struct
// seccomp_data, and its column in syscalls.txt.
type machine struct {
	arch   specs.Arch
	audit  uint32
	column int
}

// machines are those that this processor can run programs of. The first is the program's own.
func machines() []machine {
	if runtime.GOARCH == "arm64" {
		return []machine{
			{specs.ArchAARCH64, unix.AUDIT_ARCH_AARCH64, 3},
			{specs.ArchARM, unix.AUDIT_ARCH_ARM, 4},
		}
	}
	return []machine{
		{specs.ArchX86_64, unix.AUDIT_ARCH_X86_64, 1},
		{specs.ArchX86, unix.AUDIT_ARCH_I386, 2},
	}
}

// numbers returns the system calls of a machine by name.
func (m machine) numbers() map[string]uint32 {
	numbers := map[string]uint32{}
	for line := range strings.Lines(syscallTable) {
		f := strings.Fields(line)
		if n, err := strconv.ParseUint(f[min(m.column, len(f)-1)], 10, 32); err == nil {
			numbers[f[0]] = uint32(n)
		}
	}
	return numbers
}
