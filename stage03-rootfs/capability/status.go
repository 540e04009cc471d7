package capability

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
