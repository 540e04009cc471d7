package play

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"

	"stagebox/lessons/internal/agent"
)

// localShell is a shell of the host's, on a terminal.
type localShell struct {
	*os.File
	process *exec.Cmd
}

// hostShell starts the user's shell in the current directory.
func hostShell(size agent.Size) (shell, error) {
	cmd := exec.Command("bash", "-i")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", `PS1=\w $ `)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: size.Rows, Cols: size.Cols})
	if err != nil {
		return nil, err
	}
	return localShell{terminal, cmd}, nil
}

func (s localShell) Resize(size agent.Size) error {
	return pty.Setsize(s.File, &pty.Winsize{Rows: size.Rows, Cols: size.Cols})
}

// Close hangs up, and waits for the shell.
func (s localShell) Close() error {
	err := s.File.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	_ = s.process.Process.Signal(syscall.SIGHUP) // it may have ended
	_ = s.process.Wait()                         // its status does not matter
	return err
}
