package attach

import (
	"os"

	"golang.org/x/sys/unix"
)

// Hold makes a socket whose other end is to be the standard input of a monitor that waits there, until
// attach has returned, before it makes the container's process (start --hold). wait is to be called when
// the monitor has been started: it returns attach's error, or nil if the monitor has failed before.
func Hold(attach func() error) (theirs *os.File, wait func() error, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "hold"), os.NewFile(uintptr(ends[1]), "hold")
	result := make(chan error, 1)
	go func() {
		defer ours.Close()
		var err error
		if n, _ := ours.Read(make([]byte, 1)); n == 1 {
			err = attach()
			ours.WriteString("+") // an error means that the monitor has died
		}
		result <- err
	}()
	return theirs, func() error { theirs.Close(); return <-result }, nil
}

// AwaitClients is the monitor's side of Hold: it lets the caller, whose socket its standard input is,
// attach clients before the process exists, so that they miss nothing of it. A caller that has died
// holds nothing up. Afterwards the file is /dev/null.
func AwaitClients(caller *os.File) error {
	if _, err := caller.WriteString("!"); err == nil {
		caller.Read(make([]byte, 1))
	}
	return Silence(int(caller.Fd()))
}
