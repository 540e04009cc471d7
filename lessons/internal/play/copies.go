package play

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"stagebox/lessons/internal/agent"
	"stagebox/lessons/internal/exercises"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/vm"
)

// Watch builds the student's copy now and at each save, and puts its box into the machine.
func (p *Playground) Watch(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return fmt.Errorf("--dir %s: no go.mod, so not a copy of a stage; go run ./lessons start N makes one", dir)
	}
	stage, err := p.copied(dir)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.ownStage = stage
	p.mu.Unlock()
	go func() {
		for seen := ""; p.ctx.Err() == nil; time.Sleep(300 * time.Millisecond) {
			if now := sources(dir); now != seen {
				seen = now
				p.rebuild(dir)
			}
		}
	}()
	return nil
}

// copied is the stage that a directory is a copy of, by start's own notes; the lesson's without one.
func (p *Playground) copied(dir string) (int, error) {
	memory, err := exercises.Recall()
	if err != nil {
		return 0, err
	}
	for stage, made := range memory.Copies {
		if made == dir {
			return stage, nil
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stage, nil
}

// sources is a text that changes when a Go file below a directory is saved.
func sources(dir string) string {
	var state strings.Builder
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error { // what cannot be read is left to the compiler
		if err == nil && strings.HasSuffix(name, ".go") {
			if info, err := entry.Info(); err == nil {
				fmt.Fprintln(&state, name, info.Size(), info.ModTime().UnixNano())
			}
		}
		return nil
	})
	return state.String()
}

// rebuild builds a copy, and replaces box in the machine by it.
func (p *Playground) rebuild(dir string) {
	p.doing.Lock()
	defer p.doing.Unlock()
	build := &Build{Dir: dir}
	box, err := buildCopy(p.ctx, dir)
	if err == nil {
		err = p.putBox(box)
	}
	if build.Good = err == nil; build.Good {
		build.Text = "built at " + time.Now().Format(time.TimeOnly) + "; box in the machine is your copy"
	} else {
		build.Text = err.Error()
	}
	p.events.set(func(s *State) { s.Build = build })
}

// buildCopy builds a student's copy in its own directory.
func buildCopy(ctx context.Context, dir string) (string, error) {
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", "box", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build failed:\n%s", out)
	}
	return filepath.Join(dir, "box"), nil
}

// putBox puts the student's box into this machine, and into those that follow.
func (p *Playground) putBox(box string) error {
	if p.Root == nil {
		return nil // on the host, the student has it
	}
	m, err := p.Machine(p.ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.own = box
	p.mu.Unlock()
	return p.placeBox(m)
}

// put puts a program of the host into a machine.
func put(m *vm.Machine, program, to string) error {
	file, err := os.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	return m.Put(to, 0o755, file)
}

// Try checks an exercise in the machine: the student's copy of its stage, which start has made.
func (p *Playground) Try(name string) error {
	if p.Root == nil {
		return fmt.Errorf("the terminals are on the host; type there: go run ./lessons try %s", name)
	}
	if !p.doing.TryLock() {
		return errBusy
	}
	defer p.doing.Unlock()
	trial := Trial{Name: name, Running: true}
	p.tell(trial)
	err := p.try(&trial)
	trial.Running = false
	if err != nil {
		trial.Error = err.Error()
	}
	p.tell(trial)
	return nil
}

// tell shows how far a trial is.
func (p *Playground) tell(t Trial) {
	t.Lines = append([]string(nil), t.Lines...)
	p.events.set(func(s *State) { s.Exercise = &t })
}

// Where a trial's programs are in the machine.
const (
	trialRunner = inside + "/try"
	trialBox    = inside + "/yours"
)

func (p *Playground) try(trial *Trial) error {
	e, err := exercises.Get(trial.Name)
	if err != nil {
		return err
	}
	memory, err := exercises.Recall()
	if err != nil {
		return err
	}
	dir := memory.Copies[e.Stage]
	if dir == "" {
		return fmt.Errorf("no copy of stage %d: make one on the host with go run ./lessons start %[1]d", e.Stage)
	}
	box, err := buildCopy(p.ctx, dir)
	if err != nil {
		return err
	}
	runner, err := buildRunner(p.ctx)
	if err != nil {
		return err
	}
	m, err := p.Machine(p.ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(put(m, box, trialBox), put(m, runner, trialRunner)); err != nil {
		return err
	}
	return p.runTrial(m, e, trial)
}

// buildRunner builds the program that checks an exercise in the machine.
func buildRunner(ctx context.Context) (string, error) {
	root, err := stages.Root()
	if err != nil {
		return "", err
	}
	dir, err := cacheDir("programs-try")
	if err != nil {
		return "", err
	}
	runner := filepath.Join(dir, "try")
	return runner, stages.Compile(ctx, root, "./lessons/internal/play/try", runner)
}

// runTrial runs the checks, and shows each line as it comes.
func (p *Playground) runTrial(m *vm.Machine, e exercises.Exercise, trial *Trial) error {
	maker := stageBox(min(e.Stage+1, 8))
	process, err := m.Start(agent.Request{Argv: []string{trialRunner, e.Name, trialBox, maker}, Dir: "/tmp"})
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(process); lines.Scan(); {
		trial.Lines = append(trial.Lines, lines.Text())
		p.tell(*trial)
	}
	status, err := process.Wait()
	if err == nil && status != 0 {
		err = fmt.Errorf("%s is not solved yet: the task is in %s", e.Name, e.Path())
	}
	return err
}
