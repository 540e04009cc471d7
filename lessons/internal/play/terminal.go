package play

import (
	"context"
	"fmt"
	"io"
	"sync"

	"stagebox/lessons/internal/agent"
)

// shell is one that runs, in the machine or on the host.
type shell interface {
	io.ReadWriteCloser
	Resize(agent.Size) error
}

// Terminal is a shell with a screen that outlives those who look at it: a browser that comes
// back gets it again. When the shell has ended, another one is started, or the terminal ends
// with it.
type Terminal struct {
	Name  string
	start func(context.Context, agent.Size) (shell, error)
	once  bool // it ends with its shell
	ended chan struct{}

	mu      sync.Mutex
	shell   shell // nil while there is none
	size    agent.Size
	early   []byte // what was typed while there was no shell
	shown   history
	cleared bool // since the shell began: its end is no news then
	viewers map[*Viewer]bool
}

// Viewer gets what a terminal shows.
type Viewer struct {
	Output chan []byte
	gone   chan struct{}
	leave  sync.Once
}

func newTerminal(name string, start func(context.Context, agent.Size) (shell, error)) *Terminal {
	return &Terminal{Name: name, start: start, ended: make(chan struct{}), size: agent.Size{Rows: 24, Cols: 80}, viewers: map[*Viewer]bool{}}
}

// run shows one shell after the other until the context ends.
func (t *Terminal) run(ctx context.Context) {
	defer close(t.ended)
	for ctx.Err() == nil {
		if err := t.session(ctx); err != nil {
			t.show(fmt.Appendf(nil, "\r\n%v\r\n", err))
			return
		}
		if t.once {
			return
		}
		if !t.wasCleared() {
			t.show([]byte("\r\n[the shell has ended; a new one begins]\r\n"))
		}
	}
}

// session is a shell from its start to its end.
func (t *Terminal) session(ctx context.Context) error {
	size := t.currentSize()
	sh, err := t.start(ctx, size)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { sh.Close() })
	defer stop()
	t.setShell(sh, size)
	defer t.setShell(nil, size)
	defer sh.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := sh.Read(buf)
		t.show(buf[:n])
		if err != nil { // the shell's end, or the machine's
			return nil
		}
	}
}

func (t *Terminal) currentSize() agent.Size {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// setShell changes who gets what is typed. A shell that was started with some size gets what has
// happened since: another size, and what was typed. One that has ended at once needs neither.
func (t *Terminal) setShell(sh shell, size agent.Size) {
	t.mu.Lock()
	early, now := t.early, t.size
	t.shell, t.early = sh, nil
	t.mu.Unlock()
	if sh == nil {
		return
	}
	if now != size {
		_ = sh.Resize(now)
	}
	if len(early) > 0 {
		_, _ = sh.Write(early)
	}
}

// show passes on what the shell prints. A viewer that is slow holds it up, as a slow terminal
// does.
func (t *Terminal) show(data []byte) {
	data = append([]byte(nil), data...)
	t.mu.Lock()
	t.shown.add(data)
	viewers := make([]*Viewer, 0, len(t.viewers))
	for v := range t.viewers {
		viewers = append(viewers, v)
	}
	t.mu.Unlock()
	for _, v := range viewers {
		select {
		case v.Output <- data:
		case <-v.gone:
		}
	}
}

// clear empties the screen: what it shows is of a machine that is gone.
func (t *Terminal) clear() {
	t.mu.Lock()
	t.shown, t.early, t.cleared = history{}, nil, true
	t.mu.Unlock()
	t.show([]byte("\x1bc"))
}

// wasCleared reports whether the screen was emptied, once.
func (t *Terminal) wasCleared() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.cleared
	t.cleared = false
	return was
}

// Attach adds a viewer, and returns what was shown before.
func (t *Terminal) Attach() (*Viewer, []byte) {
	v := &Viewer{Output: make(chan []byte, 64), gone: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.viewers[v] = true
	return v, append([]byte(nil), t.shown.text...)
}

// Detach removes a viewer. The shell goes on.
func (t *Terminal) Detach(v *Viewer) {
	v.leave.Do(func() { close(v.gone) })
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.viewers, v)
}

// maxEarly is how much can be typed before there is a shell.
const maxEarly = 4 << 10

// Write types. Keys that are pressed while a machine boots are kept for its shell.
func (t *Terminal) Write(data []byte) (int, error) {
	t.mu.Lock()
	sh := t.shell
	if sh == nil {
		t.early = append(t.early, data[:min(len(data), maxEarly-len(t.early))]...)
	}
	t.mu.Unlock()
	if sh == nil {
		return len(data), nil
	}
	return sh.Write(data)
}

// maxSide is the longest side of a terminal that anyone has.
const maxSide = 1000

// Resize gives the terminal the size of who looked at it last.
func (t *Terminal) Resize(size agent.Size) error {
	if size.Rows < 1 || size.Cols < 1 || size.Rows > maxSide || size.Cols > maxSide {
		return fmt.Errorf("terminal size %d×%d: rows and columns must be 1 to %d", size.Rows, size.Cols, maxSide)
	}
	t.mu.Lock()
	t.size = size
	sh := t.shell
	t.mu.Unlock()
	if sh == nil {
		return nil
	}
	return sh.Resize(size)
}
