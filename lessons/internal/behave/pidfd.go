package behave

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// pidfd is a handle on a process that may be another process's child: pidfd_open(2).
type pidfd int

func openPidfd(pid int) (pidfd, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, fmt.Errorf("pidfd_open(%d): %w", pid, err)
	}
	return pidfd(fd), nil
}

// lasts reports whether the process lives on for a while; it returns early when not.
func (p pidfd) lasts(a time.Duration) (bool, error) {
	deadline := time.Now().Add(a)
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p), Events: unix.POLLIN}}, int(left.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false, fmt.Errorf("poll(pidfd): %w", err)
		default:
			return n == 0, nil
		}
	}
}

// Close closes the handle; the process goes on.
func (p pidfd) Close() error { return unix.Close(int(p)) }
