package attach

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

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
