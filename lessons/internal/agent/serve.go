package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/hashicorp/yamux"
)

// hello is the agent's first word. It is said once the machine is up.
const hello = "stagebox\n"

// server is the machine's side.
type server struct {
	mu        sync.Mutex
	processes map[int]*process
}

// process is a program that was asked for. Its channel is closed when it has ended.
type process struct {
	terminal *os.File // nil without one
	ended    chan struct{}
	status   int
}

// Serve says hello and answers requests until the host is gone.
func Serve(port io.ReadWriteCloser) error {
	if _, err := io.WriteString(port, hello); err != nil {
		return fmt.Errorf("the port to the host: %w", err)
	}
	session, err := yamux.Server(port, limits())
	if err != nil {
		return err
	}
	s := &server{processes: map[int]*process{}}
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return fmt.Errorf("the port to the host: %w", err)
		}
		go s.answer(stream)
	}
}

// answer does what one stream asks for.
func (s *server) answer(stream *yamux.Stream) {
	defer stream.Close()
	in := bufio.NewReader(stream)
	var r Request
	err := readLine(in, &r)
	reply := Reply{}
	switch {
	case err != nil:
	case r.Do == Run:
		s.run(r, in, stream)
		return
	case r.Do == Wait:
		reply.Status, err = s.wait(r.ID)
	case r.Do == Resize:
		err = s.resize(r)
	case r.Do == Put:
		err = put(r, in)
	default:
		err = fmt.Errorf("the agent cannot do %q", r.Do)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	_ = writeLine(stream, reply) // the host has gone, and does not want to know
}

// find returns a process by the number that the host has given it.
func (s *server) find(id int) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.processes[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("process %d was not started", id)
}

// wait waits for a process, which is then forgotten.
func (s *server) wait(id int) (int, error) {
	p, err := s.find(id)
	if err != nil {
		return 0, err
	}
	<-p.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.processes, id)
	return p.status, nil
}

func (s *server) resize(r Request) error {
	p, err := s.find(r.ID)
	if err != nil {
		return err
	}
	if p.terminal == nil {
		return fmt.Errorf("process %d has no terminal", r.ID)
	}
	return pty.Setsize(p.terminal, &pty.Winsize{Rows: r.Size.Rows, Cols: r.Size.Cols})
}

// run starts a program, says so by an empty Reply, and passes on what it reads and prints until
// it has ended. That a program cannot be started is printed, with the exit status of a shell.
func (s *server) run(r Request, in io.Reader, out io.Writer) {
	p := &process{ended: make(chan struct{})}
	defer close(p.ended)
	cmd := exec.Command(r.Argv[0], r.Argv[1:]...)
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), r.Env...)
	attach := piped
	if r.TTY {
		attach = onTerminal
	}
	err := attach(cmd, r, in, out, func(terminal *os.File) {
		p.terminal = terminal
		s.mu.Lock()
		s.processes[r.ID] = p
		s.mu.Unlock()
		_ = writeLine(out, Reply{}) // without a host to read it, the program ends below
	})
	p.status = status(cmd, err)
	if cmd.ProcessState == nil {
		fmt.Fprintln(out, err)
	}
}

// status is the exit status that a shell would report.
func status(cmd *exec.Cmd, err error) int {
	switch state := cmd.ProcessState; {
	case state == nil && errors.Is(err, os.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return 127
	case state == nil:
		return 126
	default:
		if wait, ok := state.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
			return 128 + int(wait.Signal())
		}
		return state.ExitCode()
	}
}

// pipeDelay is how long the output of a program may take after its end. It ends with the
// last process that has it open, which may be one that was left in the background.
const pipeDelay = 5 * time.Second

// piped runs a program without a terminal.
func piped(cmd *exec.Cmd, _ Request, _ io.Reader, out io.Writer, started func(*os.File)) error {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = pipeDelay
	started(nil)
	if err := cmd.Run(); !errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil
}

// linger is how long what a program has printed last may take from its terminal to here. A
// process that it has left in the background keeps the terminal open for longer.
const linger = 200 * time.Millisecond

// onTerminal runs a program as the leader of a session on a new terminal. The end of the input
// hangs up.
func onTerminal(cmd *exec.Cmd, r Request, in io.Reader, out io.Writer, started func(*os.File)) error {
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: r.Size.Rows, Cols: r.Size.Cols})
	if err != nil {
		started(nil)
		return err
	}
	started(terminal)
	printed := make(chan struct{})
	go func() {
		_, _ = io.Copy(out, terminal) // ends with the terminal, by EIO
		close(printed)
	}()
	go func() {
		_, _ = io.Copy(terminal, in)
		_ = cmd.Process.Signal(syscall.SIGHUP) // it may have ended already
	}()
	err = cmd.Wait()
	_ = terminal.SetReadDeadline(time.Now().Add(linger)) // without it, Close below ends the reading
	<-printed
	return errors.Join(err, terminal.Close())
}

// put writes a file beside its place and renames it, so that a program that runs keeps its own.
func put(r Request, content io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(r.Path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(r.Path), ".put-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // what is reported is why
		}
	}()
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Chmod(os.FileMode(r.Mode)), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), r.Path)
}
