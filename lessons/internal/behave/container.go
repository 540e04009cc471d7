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
	errs  *os.File // what it says on standard error
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
	c := &Container{run: b.run(b.path, args...), in: toIn, out: out}
	c.Stdin, c.Stdout = in, toOut
	if err := c.begin(typed, in, toOut); err != nil {
		return nil, err
	}
	c.PID, err = b.innermost(c.Process.Pid)
	return c, err
}

// begin types, starts the run and waits for its first line, or for what was typed. The files are the run's own ends:
// while one of them stays open here, what the run prints has no end.
func (c *Container) begin(typed string, files ...*os.File) (err error) {
	c.errs, err = unnamed()
	if c.Stderr == nil {
		c.Stderr = c.errs
	}
	if err == nil {
		err = c.out.SetReadDeadline(time.Now().Add(patience))
	}
	if err == nil {
		_, err = c.in.WriteString(typed)
	}
	if err == nil {
		err = c.start()
	}
	for _, file := range files {
		file.Close()
	}
	if err != nil {
		c.close()
		return err
	}
	c.box.live = append(c.box.live, c)
	c.lines = bufio.NewReader(c.out)
	c.First, err = c.line()
	for line := c.First; err == nil && typed != "" && line != strings.TrimSpace(typed); {
		line, err = c.line()
	}
	if err != nil {
		return fmt.Errorf("%s, before it had printed a line that was waited for", c.Stop())
	}
	return nil
}

// line is the next line that is printed. A terminal ends it with a carriage return too.
func (c *Container) line() (string, error) {
	line, err := c.lines.ReadString('\n')
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
	rest, err := io.ReadAll(c.lines)
	if err != nil && !errors.Is(err, unix.EIO) && !errors.Is(err, os.ErrClosed) { // EIO: all have left the terminal
		rest = append(rest, err.Error()...)
	}
	return c.reap(string(rest))
}

// reap waits for the end of the run alone; others may still hold its output open.
func (c *Container) reap(rest string) Ended {
	err := c.run.Wait()
	said, errRead := io.ReadAll(io.NewSectionReader(c.errs, 0, 1<<20))
	e := c.ended(errors.Join(err, errRead), c.First+"\n"+rest, string(said))
	c.close()
	c.box.live = slices.DeleteFunc(c.box.live, func(other *Container) bool { return other == c })
	return e
}

// lasts tells whether the run goes on for a while, without waiting for its end.
func (c *Container) lasts(a time.Duration) (bool, error) {
	fd, err := openPidfd(c.Process.Pid)
	if err != nil {
		return false, err
	}
	lasts, err := fd.lasts(a)
	return lasts, errors.Join(err, fd.Close())
}

// watch opens a pidfd for every process of the run but the first.
func (c *Container) watch() ([]pidfd, error) {
	below, err := c.box.descendants(c.Process.Pid)
	if err != nil {
		return nil, err
	}
	var all []pidfd
	for _, pid := range below {
		fd, err := openPidfd(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, fd)
	}
	return all, nil
}
