// Package play is the playground: a lesson beside terminals, whose shells run in a virtual
// machine that may be broken, or on the host. A [Playground] has the machine and the terminals;
// [Playground.Handler] shows them in a browser, and [Join] in another terminal of the host.
package play

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os/exec"
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
	resetting sync.Mutex // one boot or reset after the other
	doing     sync.Mutex // one build or exercise after the other

	mu        sync.Mutex
	stage     int    // whose box is box in the machine
	own       string // the student's box, which takes its place; "" without one
	ownStage  int    // of which it is a copy
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

// Missing says which tools of the lessons the host, and so the machine, does not have.
func (p *Playground) Missing(tools []string) {
	p.events.set(func(s *State) { s.Missing = tools })
}

// Boot boots a machine, and looks after it until it ends.
func (p *Playground) Boot() error {
	p.resetting.Lock()
	defer p.resetting.Unlock()
	return p.boot()
}

// boot does so. p.resetting is held.
func (p *Playground) boot() error {
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
	p.Options.Accel = m.Accel // KVM is tried once
	p.setMachine(m)
	p.events.set(func(s *State) { s.Phase, s.Boot, s.Accel = "up", time.Since(began).Seconds(), m.Accel })
	go p.watch(m)
	go p.bringTools(m)
	return nil
}

// bringTools does placeTools while the shells are in use already.
func (p *Playground) bringTools(m *vm.Machine) {
	if err := p.placeTools(m); err != nil && p.has(m) && p.ctx.Err() == nil {
		p.events.set(func(s *State) { s.Problem = err.Error() })
	}
}

// watch reports the end of a machine that was not switched off.
func (p *Playground) watch(m *vm.Machine) {
	<-m.Ended()
	if p.has(m) && p.ctx.Err() == nil {
		p.setMachine(nil)
		p.events.set(func(s *State) { s.Phase, s.Console = "ended", m.Console() })
	}
}

// has reports whether a machine is the one in use.
func (p *Playground) has(m *vm.Machine) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine == m
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
	if err := p.keep(old, keep); err != nil {
		return err
	}
	if old != nil {
		if err := p.takeDown(old); err != nil {
			return err
		}
	}
	if err := p.boot(); err != nil {
		return err // what was kept is for the next one
	}
	return p.Root.Forget()
}

// keep puts the files of a machine's /work into the root of the next one, or none. Without a machine,
// which has ended or did not come up, what was kept of an earlier one stays there.
func (p *Playground) keep(m *vm.Machine, keep bool) error {
	if !keep {
		return p.Root.Forget()
	}
	if m == nil {
		return nil
	}
	files, err := pack(m, int64(p.Options.Memory)<<20/keptPart)
	if err == nil {
		err = p.Root.Keep(home, tar.NewReader(files))
		err = errors.Join(err, files.Close())
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w; to reset the machine without its files, do not keep them", home, err)
	}
	return nil
}

// takeDown switches a machine off, and empties its screens.
func (p *Playground) takeDown(m *vm.Machine) error {
	p.setMachine(nil)
	for _, t := range p.all() {
		t.clear()
	}
	return m.Close()
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
	return errors.Join(p.placeBox(m), p.placeTools(m))
}

// placeBox puts box where a machine's shells find it.
func (p *Playground) placeBox(m *vm.Machine) error {
	p.mu.Lock()
	stage, own, box := p.stage, p.own, stageBox(p.stage)
	if own != "" {
		stage, box = 0, yourBox(p.ownStage)
	}
	p.mu.Unlock()
	if own != "" {
		if err := put(m, own, box); err != nil {
			return err
		}
	}
	if _, err := m.Output("ln", "-sfn", box, current); err != nil {
		return err
	}
	p.events.set(func(s *State) { s.Stage = stage })
	return nil
}

// placeTools puts what the lesson needs besides into a machine, as far as the host has it.
func (p *Playground) placeTools(m *vm.Machine) error {
	p.mu.Lock()
	names := later[p.stage]
	p.mu.Unlock()
	for _, name := range names {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if _, err := m.Output("test", "-e", program); err == nil {
			continue
		}
		if err := put(m, program, program); err != nil {
			return err
		}
	}
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
