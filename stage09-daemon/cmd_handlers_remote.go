// box -H: a client whose command line is the job, word by word. The request is of box alone; all
// others are Docker's, and translated.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/pty"
	"stagebox/stage09-daemon/remote"
	"stagebox/stage09-daemon/rest"
)

// hostFirst has another box, a daemon, run the command if -H names one before it.
func hostFirst() {
	address, words, err := remote.Host(os.Args[1:])
	if address == "" && err == nil {
		return
	}
	if err == nil && len(words) == 0 {
		err = fmt.Errorf("-H %s: missing command; see box --help", address)
	}
	if err != nil {
		exit("run", err)
	}
	if err = localOnly(words, address); err == nil {
		err = remote.Run(address, words)
	}
	exit(words[0], err)
}

// here are the commands that are about the host they run on, or about what is kept there for their
// user.
var here = []string{"bundle", "completion", "daemon", "inside", "login", "logout", "lsns", "rootfs", "runtime"}

// localOnly refuses what a daemon is not to be asked for.
func localOnly(words []string, address string) error {
	if slices.Contains(here, words[0]) {
		return fmt.Errorf("%s: not for a daemon: leave out -H %s", words[0], address)
	}
	return nil
}

// runLine runs a command line as a job, in a terminal if its client is at one.
func runLine(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var line remote.Line
	if err := r.Decode(&line); err != nil {
		return err
	}
	if err := checkLine(&line); err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	job := d.command(ctx, r, line.Words...)
	job.Env, job.Dir = append(line.Env, job.Env...), cmp.Or(line.Dir, "/")
	v, err := hijack(w, r, true)
	if err != nil {
		return err
	}
	defer v.conn.Close()
	frames := &rest.Frames{To: v.conn}
	job.Stdout, job.Stderr = frames.Stream(rest.Stdout), frames.Stream(rest.Stderr)
	passOn := func(input io.WriteCloser, terminal *os.File) {
		defer cancel() // the client has left: SIGTERM
		job.passOn(v.in, input, terminal)
	}
	if line.Terminal {
		err = job.runOnTerminal(job.Stdout, func(ours *os.File) {
			pty.SetSize(ours, &unix.Winsize{Row: line.Rows, Col: line.Columns})
			go passOn(ours, ours)
		})
	} else {
		err = job.runOnPipes(func(input io.WriteCloser) { go passOn(input, nil) })
	}
	if err != nil && job.ProcessState == nil {
		fmt.Fprintln(job.Stderr, "box:", err)
	}
	fmt.Fprint(frames.Stream(remote.Exit), exitStatus(job.ProcessState))
	return nil
}

func checkLine(line *remote.Line) error {
	if len(line.Words) == 0 {
		return errors.New("no command is named")
	}
	if line.Dir != "" && !exists(line.Dir) {
		return fmt.Errorf("there is no directory %s where the daemon runs: go to one that it has too", line.Dir)
	}
	return localOnly(line.Words, "")
}

// runOnPipes starts the job, hands its input to started, and waits for its end.
func (j *job) runOnPipes(started func(input io.WriteCloser)) error {
	input, err := j.StdinPipe()
	if err != nil {
		return err
	}
	if err := j.Start(); err != nil {
		return err
	}
	started(input)
	return j.Wait()
}

// passOn passes what a client sends on to the job, until the client leaves. At a terminal, signals
// are typed.
func (j *job) passOn(from io.Reader, input io.WriteCloser, terminal *os.File) {
	for {
		number, data, err := remote.ReadFrame(from)
		if err != nil {
			return
		}
		var size unix.Winsize
		switch {
		case number == remote.Stdin && len(data) == 0:
			input.Close()
		case number == remote.Stdin:
			input.Write(data) // an error means that nobody reads
		case number == remote.Signal && terminal == nil:
			n, _ := strconv.Atoi(string(data)) // 0 does nothing
			j.Process.Signal(unix.Signal(n))
		case number == remote.Resize && terminal != nil:
			if n, _ := fmt.Sscan(string(data), &size.Row, &size.Col); n == 2 {
				pty.SetSize(terminal, &size)
			}
		}
	}
}

// exitStatus is that of a process, as a shell has it; 125 if there was none.
func exitStatus(p *os.ProcessState) int {
	if p == nil {
		return 125
	}
	if how := p.Sys().(syscall.WaitStatus); how.Signaled() {
		return 128 + int(how.Signal())
	}
	return p.ExitCode()
}
