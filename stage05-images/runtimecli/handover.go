package runtimecli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// HandOver are the flags by which an engine gets hold of a process and its terminal, and passes
// descriptors on to it.
type HandOver struct {
	PidFile       string `help:"Write the PID of the process to a file." placeholder:"FILE"`
	ConsoleSocket string `help:"Send the master of the terminal to a unix socket." placeholder:"SOCKET"`
	PreserveFds   int    `help:"Pass N more file descriptors to the process, from 3 on." placeholder:"N"`
}

// Give writes the number of a process to --pid-file. Before that, if --console-socket is given, it
// sends the master of the terminal there, which receive waits for.
func (h *HandOver) Give(pid int, receive func() (*os.File, error)) error {
	if h.ConsoleSocket != "" {
		master, err := receive()
		if err != nil {
			return err
		}
		defer master.Close()
		if err := h.sendMaster(master); err != nil {
			return err
		}
	}
	return h.writePID(pid)
}

// writePID writes the number of a process to --pid-file, all at once.
func (h *HandOver) writePID(pid int) error {
	if h.PidFile == "" {
		return nil
	}
	next := filepath.Join(filepath.Dir(h.PidFile), "."+filepath.Base(h.PidFile))
	if err := os.WriteFile(next, []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return os.Rename(next, h.PidFile)
}

// sendMaster sends the master of a terminal to --console-socket (SCM_RIGHTS of unix(7)).
func (h *HandOver) sendMaster(master *os.File) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.ConsoleSocket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("--console-socket: %w", err)
	}
	defer conn.Close()
	_, _, err = conn.WriteMsgUnix([]byte("/dev/ptmx"), unix.UnixRights(int(master.Fd())), nil)
	return err
}
