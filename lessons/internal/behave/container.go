package behave

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Container is a run of the binary that goes on.
type Container struct {
	PID   int    // of its command, on the host; 0 at a terminal
	First string // the first line that it printed

	run
	in    *os.File // to its standard input
	out   *os.File // from its standard output
	lines *bufio.Reader
	said  strings.Builder // what was read of it
	errs  *os.File        // what it says on standard error
}

// Start runs the binary and returns when its command has printed a line.
func (b *Box) Start(args ...string) (*Container, error) { return b.startWith("", args) }

// Cat is Start for a command that becomes cat in the end, which goes on until its standard
// input ends. A line is typed at once: when it has come back, the command is cat alone.
func (b *Box) Cat(args ...string) (*Container, error) { return b.startWith("ready\n", args) }

func (b *Box) startWith(typed string, args []string) (*Container, error) {
	in, toIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, toOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), toIn.Close())
	}
	c := &Container{run: b.prepare(b.path, args...), in: toIn, out: out}
	c.Stdin, c.Stdout = in, toOut
	if err := c.begin(typed, in, toOut); err != nil {
		return nil, err
	}
	c.PID, err = b.innermost(c.Process.Pid)
	return c, err
}

// begin starts the run and waits until it has printed a line. The files are the run's own
// ends: while one of them stays open here, what the run prints has no end.
func (c *Container) begin(typed string, files ...*os.File) error {
	err := c.launch(typed)
	for _, file := range files {
		file.Close()
	}
	if err != nil {
		c.close()
		return err
	}
	c.box.live = append(c.box.live, c)
	c.First, err = c.line()
	for line := c.First; err == nil && typed != "" && line != strings.TrimSpace(typed); {
		line, err = c.line()
	}
	if err != nil {
		return fmt.Errorf("%s, and not the line that was waited for", c.Stop())
	}
	c.net.Stop() // until its end is waited for
	return nil
}

func (c *Container) launch(typed string) (err error) {
	if c.errs, err = unnamed(); err != nil {
		return err
	}
	if c.Stderr == nil {
		c.Stderr = c.errs
	}
	c.lines = bufio.NewReader(c.out)
	if err := c.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.in.WriteString(typed); err != nil {
		return err
	}
	return c.start()
}

// line is the next line that is printed. A terminal ends it with a carriage return too.
func (c *Container) line() (string, error) {
	line, err := c.lines.ReadString('\n')
	c.said.WriteString(line)
	return strings.TrimRight(line, "\r\n"), err
}

// unnamed is an empty file that is gone once it is closed.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "stagebox")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// close lets go of what only this process reads and writes.
func (c *Container) close() {
	for _, file := range []*os.File{c.in, c.out, c.errs} {
		file.Close() // in is out at a terminal, and closed twice
	}
}

// pid is the number of the command's process on the host, as text.
func (c *Container) pid() string { return itoa(c.PID) }

// Signal sends a signal to the binary, as kill(1) does.
func (c *Container) Signal(s syscall.Signal) error { return c.Process.Signal(s) }

// Stop ends the container's standard input, and waits. A terminal hangs up (SIGHUP).
func (c *Container) Stop() Ended {
	c.in.Close()
	return c.Wait()
}

// Wait waits for the end of the run and of what it prints.
func (c *Container) Wait() Ended {
	c.net.Reset(patience)
	_, err := io.Copy(&c.said, c.lines)
	switch {
	case errors.Is(err, unix.EIO): // all have left the terminal
	case errors.Is(err, os.ErrClosed): // we have
	case err != nil:
		fmt.Fprintf(&c.said, "(%s)", err)
	}
	return c.reap()
}

// reap waits for the end of the run alone: others may still hold its output open.
func (c *Container) reap() Ended {
	c.net.Reset(patience)
	err := c.run.Wait()
	errs, errRead := io.ReadAll(io.NewSectionReader(c.errs, 0, 1<<20))
	e := c.ended(errors.Join(err, errRead), c.said.String(), string(errs))
	c.close()
	c.box.live = slices.DeleteFunc(c.box.live, func(other *Container) bool { return other == c })
	return e
}

// lasts reports whether the run goes on for a while, without waiting for its end.
func (c *Container) lasts(a time.Duration) (bool, error) {
	fd, err := openPidfd(c.Process.Pid)
	if err != nil {
		return false, err
	}
	lasts, err := fd.lasts(a)
	return lasts, errors.Join(err, fd.Close())
}

// watchedProcess is a process that can be distinguished from one that gets its number later.
type watchedProcess struct {
	pid int
	pidfd
}

// watch opens a pidfd for every process of the run but the first, parents before children. One
// that ends meanwhile is none of them: exec's maker, which only clones the command's process.
func (c *Container) watch() ([]watchedProcess, error) {
	below, err := c.box.descendants(c.Process.Pid)
	if err != nil {
		return nil, err
	}
	var all []watchedProcess
	for _, pid := range below {
		fd, err := openPidfd(pid)
		if errors.Is(err, unix.ESRCH) {
			continue
		} else if err != nil {
			return nil, err
		}
		all = append(all, watchedProcess{pid, fd})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no process of the run %q is left to look at", c.typed)
	}
	return all, nil
}
