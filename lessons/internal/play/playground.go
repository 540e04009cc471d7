// Package play is the playground: a lesson beside terminals, whose shells run in a virtual
// machine that may be broken, or on the host. A [Playground] has the machine and the terminals;
// [Playground.Handler] shows them in a browser, and [Join] in another terminal of the host.
package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"stagebox/lessons/internal/agent"
	"stagebox/lessons/internal/vm"
)

// Playground is what one play consists of.
type Playground struct {
	Options vm.Options
	Root    *vm.Root // of its machine; nil when the shells are the host's
	events  events

	ctx       context.Context
	resetting sync.Mutex // one reset after the other
	doing     sync.Mutex // one build or exercise after the other

	mu        sync.Mutex
	stage     int    // whose box is box in the machine
	own       string // the student's box, which takes its place; "" without one
	machine   *vm.Machine
	changed   chan struct{} // closed when the machine has changed
	terminals map[string]*Terminal
}

// New makes a playground for a stage that ends with the context. Boot brings its machine up.
func New(ctx context.Context, root *vm.Root, stage int, o vm.Options) *Playground {
	p := &Playground{Options: o, Root: root, ctx: ctx, stage: stage, changed: make(chan struct{}), terminals: map[string]*Terminal{}}
	p.events.set(func(s *State) {
		s.Phase, s.Where, s.Cgroups = "booting", "machine", o.Cgroups
		if root == nil {
			s.Phase, s.Where = "up", "host"
		}
	})
	return p
}

// Boot boots a machine, and looks after it until it ends.
func (p *Playground) Boot() error {
	began := time.Now()
	p.events.set(func(s *State) { s.Phase, s.Console = "booting", "" })
	m, err := vm.Boot(p.ctx, p.Root, p.Options)
	if err == nil {
		err = p.placeBox(m)
	}
	if err != nil {
		p.events.set(func(s *State) { s.Phase, s.Console = "ended", err.Error() })
		return err
	}
	p.setMachine(m)
	p.events.set(func(s *State) { s.Phase, s.Boot = "up", time.Since(began).Seconds() })
	go p.watch(m)
	return nil
}

// watch reports the end of a machine that was not switched off.
func (p *Playground) watch(m *vm.Machine) {
	<-m.Ended()
	p.mu.Lock()
	died := p.machine == m
	p.mu.Unlock()
	if died && p.ctx.Err() == nil {
		p.setMachine(nil)
		p.events.set(func(s *State) { s.Phase, s.Console = "ended", m.Console() })
	}
}

func (p *Playground) setMachine(m *vm.Machine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.machine = m
	close(p.changed)
	p.changed = make(chan struct{})
}

// Machine waits until there is one.
func (p *Playground) Machine(ctx context.Context) (*vm.Machine, error) {
	for {
		p.mu.Lock()
		m, changed := p.machine, p.changed
		p.mu.Unlock()
		if m != nil {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Reset throws the machine away and boots another one. The files in /work can be kept.
func (p *Playground) Reset(keep bool) error {
	if p.Root == nil {
		return errors.New("reset: the terminals are on this host, not in a virtual machine")
	}
	p.resetting.Lock()
	defer p.resetting.Unlock()
	p.mu.Lock()
	old := p.machine
	p.mu.Unlock()
	var kept []byte
	if old != nil {
		var err error
		if kept, err = p.takeDown(old, keep); err != nil {
			return err
		}
	}
	if err := p.Boot(); err != nil {
		return err
	}
	return p.restore(kept)
}

// takeDown switches a machine off, and returns what is to be kept.
func (p *Playground) takeDown(m *vm.Machine, keep bool) ([]byte, error) {
	var kept []byte
	if keep {
		var err error
		if kept, err = pack(m); err != nil {
			return nil, fmt.Errorf("keep %s: %w", home, err)
		}
	}
	p.setMachine(nil)
	for _, t := range p.all() {
		t.clear()
	}
	return kept, m.Close()
}

// packTime is how long a machine may take to pack its files. One that was broken may never answer.
const packTime = time.Minute

// pack returns the files in /work as an archive.
func pack(m *vm.Machine) ([]byte, error) {
	type packed struct {
		files string
		err   error
	}
	done := make(chan packed, 1)
	go func() {
		files, err := m.Output("tar", "-C", home, "-cf", "-", ".")
		done <- packed{files, err}
	}()
	select {
	case p := <-done:
		return []byte(p.files), p.err
	case <-time.After(packTime):
		return nil, fmt.Errorf("no answer from the machine in %s; to reset it without its files, do not keep them", packTime)
	}
}

// restore unpacks what was kept.
func (p *Playground) restore(kept []byte) error {
	if kept == nil {
		return nil
	}
	m, err := p.Machine(p.ctx)
	if err != nil {
		return err
	}
	const archive = "/run/kept.tar"
	if err := m.Put(archive, 0o600, bytes.NewReader(kept)); err != nil {
		return err
	}
	_, err = m.Output("tar", "-C", home, "-xf", archive)
	return err
}

// Choose makes box the lesson's, unless it is the student's.
func (p *Playground) Choose(stage int) error {
	if p.Root == nil {
		return nil
	}
	p.mu.Lock()
	p.stage = stage
	m := p.machine
	p.mu.Unlock()
	if m == nil {
		return nil // the next one to boot begins with it
	}
	return p.placeBox(m)
}

// placeBox puts box where a machine's shells find it.
func (p *Playground) placeBox(m *vm.Machine) error {
	p.mu.Lock()
	stage, own := p.stage, p.own
	p.mu.Unlock()
	if own != "" {
		stage = 0
		if err := put(m, own, current); err != nil {
			return err
		}
	} else if _, err := m.Output("ln", "-sfn", stageBox(stage), current); err != nil {
		return err
	}
	p.events.set(func(s *State) { s.Stage = stage })
	return nil
}

func (p *Playground) all() []*Terminal {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*Terminal, 0, len(p.terminals))
	for _, t := range p.terminals {
		list = append(list, t)
	}
	return list
}

// maxTerminals is how many there can be at once.
const maxTerminals = 16

// Terminal returns the terminal of a name, opened when it is named first.
func (p *Playground) Terminal(name string) (*Terminal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.terminals[name]; t != nil {
		return t, nil
	}
	if name != "1" && name != "2" {
		return nil, fmt.Errorf("there is no terminal %q; the page has 1 and 2", name)
	}
	return p.open(name, false), nil
}

// Extra opens one terminal more, which ends with its shell.
func (p *Playground) Extra() (*Terminal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := 3; n <= maxTerminals; n++ {
		if name := strconv.Itoa(n); p.terminals[name] == nil {
			return p.open(name, true), nil
		}
	}
	return nil, fmt.Errorf("too many terminals (%d): close one first", maxTerminals)
}

// open starts a terminal's loop. p.mu is held.
func (p *Playground) open(name string, once bool) *Terminal {
	t := newTerminal(name, p.shell)
	t.once = once
	p.terminals[name] = t
	go func() {
		t.run(p.ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.terminals, name)
	}()
	return t
}

// shell starts one, in the machine that is up or in the next that will be.
func (p *Playground) shell(ctx context.Context, size agent.Size) (shell, error) {
	if p.Root == nil {
		return hostShell(size)
	}
	for {
		m, err := p.Machine(ctx)
		if err != nil {
			return nil, err
		}
		process, err := m.Start(agent.Request{Argv: []string{"bash", "--rcfile", rcFile, "-i"}, Dir: home,
			Env: []string{"HOME=" + home, "TERM=xterm-256color"}, TTY: true, Size: size})
		if err == nil {
			return process, nil
		}
		select { // the machine is going: another may come
		case <-m.Ended():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close switches the machine off.
func (p *Playground) Close() error {
	p.mu.Lock()
	m := p.machine
	p.machine = nil
	p.mu.Unlock()
	if m == nil {
		return nil
	}
	return m.Close()
}
