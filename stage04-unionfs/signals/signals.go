// Package signals reads the name or number of a signal, as kill(1) takes it. No lesson reads it.
package signals

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/fault"
)

// Parse reads TERM, SIGTERM, 15, RTMIN+3 or RTMAX-3, in upper or lower case.
func Parse(text string) (unix.Signal, error) {
	upper := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if s := cmp.Or(unix.SignalNum(upper), realtime(upper)); s != 0 {
		return s, nil
	}
	var n int
	if _, err := fmt.Sscanf(text, "%d", &n); err == nil && n > 0 && n < 65 && fmt.Sprint(n) == text {
		return unix.Signal(n), nil
	}
	return 0, fault.Invalid.Errorf("%s: there is no such signal; kill -l lists them", text)
}

// Or reads a signal as Parse does, or returns another one if the text is none.
func Or(text string, other unix.Signal) unix.Signal {
	if s, err := Parse(text); err == nil {
		return s
	}
	return other
}

// realtime counts from the first or the last of the real-time signals, or returns 0. The first
// two of the kernel's are the C library's own (signal(7)).
func realtime(name string) unix.Signal {
	edge, steps, _ := strings.Cut(strings.Replace(name, "-", "+-", 1), "+")
	first, known := map[string]int{"SIGRTMIN": 34, "SIGRTMAX": 64}[edge]
	n, err := strconv.Atoi(cmp.Or(steps, "0"))
	if !known || err != nil || first+n < 34 || first+n > 64 {
		return 0
	}
	return unix.Signal(first + n)
}

// Check is an error if the value of a flag is no signal; "" is none, and right. Only later stages use
// it.
func Check(flag, text string) error {
	if _, err := Parse(text); err != nil && text != "" {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}
