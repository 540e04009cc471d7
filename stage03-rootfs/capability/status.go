package capability

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Status is what a process may still do.
type Status struct {
	Bounding             Set
	Filtered, NoNewPrivs bool // it has a seccomp filter; execve gives it no privileges
}

// StatusOf reads it from /proc/PID/status.
func StatusOf(pid int) (s Status, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, err
	}
	field := func(name string) string {
		_, rest, _ := strings.Cut(string(status), "\n"+name+":\t")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	bounding, err := strconv.ParseUint(field("CapBnd"), 16, 64)
	if err != nil {
		return s, fmt.Errorf("/proc/%d/status: CapBnd: %w", pid, err)
	}
	return Status{Set(bounding), field("Seccomp") == "2", field("NoNewPrivs") == "1"}, nil
}

// Known is what a process that is made with these CLONE_NEW flags may have: all that the kernel
// knows in a user namespace of its own, else what this process has, which is less than everything
// inside another container.
func Known(namespaces uint64) Set {
	var set Set
	for i := range Count {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		if err == nil && (has == 1 || namespaces&unix.CLONE_NEWUSER != 0) {
			set |= 1 << i
		}
	}
	return set
}
