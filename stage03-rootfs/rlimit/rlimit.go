// Package rlimit reads limits of setrlimit(2) in Docker's notation, such as nofile=1024:4096.
package rlimit

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limit is a soft and a hard limit of a resource.
type Limit struct {
	Name     string // such as nofile
	Resource int    // such as unix.RLIMIT_NOFILE
	unix.Rlimit
}

var resources = [...]struct {
	name   string
	number int
}{
	{"core", unix.RLIMIT_CORE}, {"cpu", unix.RLIMIT_CPU}, {"data", unix.RLIMIT_DATA},
	{"fsize", unix.RLIMIT_FSIZE}, {"locks", unix.RLIMIT_LOCKS}, {"memlock", unix.RLIMIT_MEMLOCK},
	{"msgqueue", unix.RLIMIT_MSGQUEUE}, {"nice", unix.RLIMIT_NICE}, {"nofile", unix.RLIMIT_NOFILE},
	{"nproc", unix.RLIMIT_NPROC}, {"rss", unix.RLIMIT_RSS}, {"rtprio", unix.RLIMIT_RTPRIO},
	{"rttime", unix.RLIMIT_RTTIME}, {"sigpending", unix.RLIMIT_SIGPENDING}, {"stack", unix.RLIMIT_STACK},
}

// Parse reads NAME=SOFT or NAME=SOFT:HARD; one number is both. -1 and unlimited are no limit.
func Parse(spec string) (l Limit, err error) {
	name, values, _ := strings.Cut(spec, "=")
	var known []string
	for _, r := range resources {
		known = append(known, r.name)
	}
	i := slices.Index(known, name)
	if i < 0 {
		return l, fmt.Errorf("there is no limit %q; setrlimit(2) has %s", name, strings.Join(known, ", "))
	}
	l.Name, l.Resource = name, resources[i].number
	soft, hard, both := strings.Cut(values, ":")
	if !both {
		hard = soft
	}
	if l.Cur, err = parse(soft); err == nil {
		l.Max, err = parse(hard)
	}
	if err == nil && l.Cur > l.Max {
		err = fmt.Errorf("the soft limit, %s, is above the hard one, %s", soft, hard)
	}
	return l, err
}

// Check returns the error of the first value of --ulimit that Parse refuses.
func Check(specs []string) error {
	for _, spec := range specs {
		if _, err := Parse(spec); err != nil {
			return fmt.Errorf("--ulimit %s: %w", spec, err)
		}
	}
	return nil
}

func parse(text string) (uint64, error) {
	if text == "-1" || text == "unlimited" {
		return unix.RLIM_INFINITY, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number, or -1 for none", text)
	}
	return n, nil
}

// String returns the limit as strace writes struct rlimit64.
func (l Limit) String() string {
	return fmt.Sprintf("{rlim_cur=%s, rlim_max=%s}", Format(l.Cur), Format(l.Max))
}

// Format returns one number of a limit, in strace's notation where there is no limit.
func Format(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "RLIM64_INFINITY"
	}
	return strconv.FormatUint(n, 10)
}

// Allowed returns the limit as far as this process may set it, and whether that is lower: only
// CAP_SYS_RESOURCE raises a hard limit, where limits are kept, which is on the host. With an error,
// which is that of getrlimit(2), it is the limit itself.
func (l Limit) Allowed() (allowed Limit, isLower bool, err error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(l.Resource, &now); err != nil {
		return l, false, fmt.Errorf("getrlimit(%s): %w", l.Name, err)
	}
	if l.Max <= now.Max || mayRaise() {
		return l, false, nil
	}
	l.Max, l.Cur = now.Max, min(l.Cur, now.Max)
	return l, true, nil
}

// Permitted is the limit of a value of --ulimit as far as this process may set it. If that is lower,
// it prints why.
func Permitted(spec string) (Limit, error) {
	limit, err := Parse(spec)
	if err != nil {
		return limit, fmt.Errorf("--ulimit %s: %w", spec, err)
	}
	allowed, isLower, err := limit.Allowed()
	if isLower {
		fmt.Fprintf(os.Stderr, "box: --ulimit %s: only CAP_SYS_RESOURCE raises a hard limit, "+
			"and box lacks it: %s stays at %s\n", spec, limit.Name, Format(allowed.Max))
	}
	return allowed, err
}

func mayRaise() bool {
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective>>unix.CAP_SYS_RESOURCE&1 == 1
}
