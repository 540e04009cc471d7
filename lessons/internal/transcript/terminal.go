package transcript

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/host"
)

// terminal is a shell on a pseudo-terminal.
type terminal struct {
	file  *os.File
	shell *exec.Cmd
	bytes chan []byte
	shown string // since something was typed last
	show  io.Writer
	stop  <-chan struct{}
}

// ErrStopped is what a step ends with that was waited for no longer.
var ErrStopped = errors.New("stopped")

// quiet is how long a terminal that shows a prompt has to say nothing more.
const quiet = 80 * time.Millisecond

var (
	prompt = regexp.MustCompile(`(?:^|\n)(?:\^[CZ])?(?:(?:sh-[0-9.]+)?[#$]| +(?:look: .*)?\[Enter\]) $`)
	escape = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")
)

// openTerminal starts a shell as a user, in a directory.
func openTerminal(dir, path string, uid int) (*terminal, error) {
	shell := exec.Command("sh", "-i")
	shell.Dir = dir
	shell.Env = []string{"PATH=" + path, "HOME=" + dir, "PS1=$ ", "TERM=dumb", "LANG=C.UTF-8", fmt.Sprintf("BOX_ROOT=%s-store-%d", dir, uid)}
	shell.SysProcAttr = &syscall.SysProcAttr{}
	if uid != os.Geteuid() {
		shell.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	var file *os.File
	err := offNetwork(func() (err error) {
		file, err = pty.StartWithSize(shell, &pty.Winsize{Rows: 50, Cols: 400})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sh on a terminal: %w", err)
	}
	t := &terminal{file: file, shell: shell, bytes: make(chan []byte, 64)}
	go t.read()
	return t, nil
}

// offNetwork does something on a thread that root gives a network namespace of its own: what
// a lesson does to bridges and firewalls is not done to the host's.
func offNetwork(do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()              // for good: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() { // the first one does not, and is /proc/self
			err := offNetwork(do) // on another, while this one waits
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = host.LoopbackUp()
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

func (t *terminal) read() {
	defer close(t.bytes)
	for {
		buf := make([]byte, 4096)
		n, err := t.file.Read(buf)
		if n > 0 {
			t.bytes <- buf[:n]
		}
		if err != nil {
			return
		}
	}
}

// settle reads until the terminal shows a prompt and stays quiet.
func (t *terminal) settle(patience time.Duration) error {
	deadline := time.After(patience)
	for {
		pause := time.NewTimer(quiet)
		select {
		case b, ok := <-t.bytes:
			pause.Stop()
			if !ok {
				return fmt.Errorf("the shell has ended; it showed %q", t.shown)
			}
			t.hear(b)
		case <-t.stop:
			pause.Stop()
			return ErrStopped
		case <-pause.C:
			if prompt.MatchString(t.shown) {
				return nil
			}
		case <-deadline:
			return fmt.Errorf("no prompt after %v; the terminal shows:\n%s", patience, t.shown)
		}
	}
}

// running waits until the shell has given the terminal to a command, and that command has
// begun: for some time, all processes below the shell have slept, and were the same ones.
func (t *terminal) running(patience time.Duration) error {
	before, since := "", time.Now()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		group, err := unix.IoctlGetInt(int(t.file.Fd()), unix.TIOCGPGRP)
		now, asleep := below(t.shell.Process.Pid)
		switch {
		case err != nil || group == t.shell.Process.Pid || !asleep || now != before:
			before, since = now, time.Now()
		case time.Since(since) > 5*quiet:
			return nil
		}
	}
	return fmt.Errorf("nothing runs in the foreground after %v", patience)
}

// below lists the processes that a process has started, and those that they have, and reports
// whether all of them sleep: one that waits for a processor does not.
func below(parent int) (list string, asleep bool) {
	asleep = true
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent)) // proc_tid_children(5)
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(children)) {
			stat, _ := os.ReadFile("/proc/" + child + "/stat")
			_, rest, _ := strings.Cut(string(stat), ") ")
			pid, _ := strconv.Atoi(child)
			more, all := below(pid)
			list += child + " " + more
			asleep = asleep && all && strings.HasPrefix(rest, "S")
		}
	}
	return list, asleep
}

// hear takes what the shell has said.
func (t *terminal) hear(b []byte) {
	t.shown += escape.ReplaceAllString(strings.ReplaceAll(string(b), "\r", ""), "")
	if t.show != nil {
		t.show.Write(b) // a missing onlooker is not a fault of the session
	}
}

// enter types a line, with a pause after each letter.
func (t *terminal) enter(line string, typing time.Duration) error {
	t.shown = ""
	if typing == 0 {
		_, err := t.file.WriteString(line + "\n")
		return err
	}
	for _, letter := range line + "\n" {
		if _, err := t.file.WriteString(string(letter)); err != nil {
			return err
		}
		if err := t.echo(typing); err != nil {
			return err
		}
	}
	return nil
}

// echo hears what is said during a pause.
func (t *terminal) echo(pause time.Duration) error {
	for over := time.After(pause); ; {
		select {
		case b, ok := <-t.bytes:
			if !ok {
				return fmt.Errorf("the shell has ended; it showed %q", t.shown)
			}
			t.hear(b)
		case <-t.stop:
			return ErrStopped
		case <-over:
			return nil
		}
	}
}

// press presses a key and forgets what was shown before.
func (t *terminal) press(key byte) error {
	for len(t.bytes) > 0 {
		t.hear(<-t.bytes)
	}
	t.shown = ""
	_, err := t.file.Write([]byte{key})
	return err
}

// output is what was shown since the last line was typed, without its echo and without
// the prompt of the shell that follows. The prompt that Enter answers is output.
func (t *terminal) output(typed string) string {
	text := strings.TrimPrefix(t.shown, typed)
	text = strings.TrimPrefix(text, "\n")
	if at := strings.LastIndex(text, "\n"); !strings.HasSuffix(text, "[Enter] ") {
		text = text[:at+1]
	}
	return text
}

// close hangs up and ends what is left of the session. Killing takes effect a moment
// later, and who is killed may have just made a child: so it looks until none is left.
func (t *terminal) close() {
	t.file.Close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		left := inSession(t.shell.Process.Pid)
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
	t.shell.Wait()
}

// inSession are the processes of a session that have not ended (proc_pid_stat(5)).
func inSession(session int) []int {
	var found []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest) // state, parent, group, session
		if len(fields) < 4 || fields[3] != strconv.Itoa(session) || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}
