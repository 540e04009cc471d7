package journal

import (
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// reader reads the pipes of a log, all in one goroutine (poll(2)): what a process prints on two
// streams, one after the other, goes on in this order. If both have something at the same time,
// standard error is first, because programs buffer the other one.
type reader struct {
	mutex sync.Mutex
	pipes []*pipe
	wake  [2]*os.File // a pipe that ends the wait
	ends  bool        // nothing more is expected
}

// pipe is a stream of the process.
type pipe struct {
	file *os.File
	to   io.Writer // may be nil
	lines
	left int // how much is still read, once the reader ends
}

// atEnd is how much is read of a pipe at the end, at most: as much as the largest pipe can hold.
// A process that is left may go on printing forever.
const atEnd = 1 << 20

// quiet is for how many milliseconds nothing may come before the end is the end.
const quiet = 1000

// add adds a pipe, and reports whether it is the first: then run must be called.
func (r *reader) add(p *pipe) (first bool, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	p.left = atEnd
	if first = r.wake[0] == nil; first {
		if r.wake[0], r.wake[1], err = os.Pipe(); err != nil {
			return false, err
		}
	}
	r.pipes = append(r.pipes, p)
	slices.SortStableFunc(r.pipes, func(a, b *pipe) int { return stderrFirst(b) - stderrFirst(a) })
	r.wake[1].Write([]byte{0})
	return first, nil
}

func stderrFirst(p *pipe) int {
	if p.stream == "stderr" {
		return 1
	}
	return 0
}

// finish ends run when the pipes are empty and have no writer, or nothing comes for a while.
func (r *reader) finish() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.ends = true; r.wake[1] != nil {
		r.wake[1].Write([]byte{0})
	}
}

// run reads until finish was called and all is read.
func (r *reader) run() {
	data := make([]byte, longest)
	for {
		pipes, ends := r.state()
		if ends && len(pipes) == 0 {
			break
		}
		ready, some := r.wait(pipes, ends)
		if ends && !some {
			break
		}
		for i, p := range pipes {
			if ready[i] && !p.read(data, ends) {
				r.remove(p)
			}
		}
	}
	pipes, _ := r.state()
	for _, p := range pipes {
		r.remove(p)
	}
	r.wake[0].Close()
	r.wake[1].Close()
}

func (r *reader) state() ([]*pipe, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.pipes), r.ends
}

// wait waits until one of the pipes has something, or has no writer any more, and says which.
func (r *reader) wait(pipes []*pipe, ends bool) (ready []bool, some bool) {
	fds := []unix.PollFd{{Fd: int32(r.wake[0].Fd()), Events: unix.POLLIN}}
	timeout := quiet
	if !ends {
		timeout = -1
	}
	for _, p := range pipes {
		fds = append(fds, unix.PollFd{Fd: int32(p.file.Fd()), Events: unix.POLLIN})
	}
	n, err := unix.Poll(fds, timeout)
	for err == unix.EINTR {
		n, err = unix.Poll(fds, timeout)
	}
	woken := fds[0].Revents != 0 // then there may be more pipes: look again
	if woken {
		r.wake[0].Read(make([]byte, 16))
	}
	for _, fd := range fds[1:] {
		ready = append(ready, fd.Revents != 0 && !woken)
	}
	return ready, n > 0
}

// read passes on what a pipe has, and reports whether there can be more.
func (p *pipe) read(data []byte, ends bool) bool {
	n, err := unix.Read(int(p.file.Fd()), data)
	if err == unix.EINTR || err == unix.EAGAIN {
		return true
	}
	if n <= 0 {
		return false
	}
	p.lines.add(data[:n])
	if p.to != nil {
		p.to.Write(data[:n]) // what cannot be written is for the writer to know
	}
	if ends {
		p.left -= n
	}
	return p.left > 0
}

// remove takes a pipe out, and writes the last line if it has no end.
func (r *reader) remove(p *pipe) {
	p.lines.end()
	p.file.Close()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.pipes = slices.DeleteFunc(r.pipes, func(o *pipe) bool { return o == p })
}
