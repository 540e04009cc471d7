package attach

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// StartMonitor starts the process that stays with a container in the background: in a session of its
// own, away from every terminal. It waits until that process writes a byte to the last of its files:
// the container runs. If it ends before, the error is its exit status: it has said itself what is
// wrong.
func StartMonitor(monitor *exec.Cmd) error {
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	monitor.ExtraFiles = append(monitor.ExtraFiles, report)
	monitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = errors.Join(monitor.Start(), report.Close()); err != nil {
		return fmt.Errorf("the monitor of the container: %w", err)
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	var exit *exec.ExitError
	if err := monitor.Wait(); !errors.As(err, &exit) || !exit.Exited() {
		return fmt.Errorf("the monitor of the container has died: %v", err)
	}
	return plan.ExitStatus(exit.ExitCode())
}

// RestartMonitor replaces a monitor with one that has just begun (execve(2)): it goes on holding the
// lock, whose file is empty again, and reports to /dev/null. report is the descriptor to which it
// wrote that the container runs. It returns only with an error.
func RestartMonitor(lock *os.File, report int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(lock.Fd(), unix.F_SETFD, 0) // execve keeps it open, and so the lock
	// null may have this number already, and dup3(2) does not duplicate a descriptor to itself.
	other, errOther := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, report+1)
	err = errors.Join(err, errOther, lock.Truncate(0), unix.Dup2(other, report))
	if err == nil {
		_, err = lock.Seek(0, 0)
	}
	if err == nil {
		err = unix.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	return err
}
