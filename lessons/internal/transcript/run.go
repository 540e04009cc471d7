package transcript

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Session is how the blocks of a file are run.
type Session struct {
	Bin      string        // the directory with box, first in PATH
	User     int           // who as=user is, when root runs this
	Patience time.Duration // how long a command may take
}

// Mismatch is a step that showed something else than the lesson does.
type Mismatch struct {
	Line             int
	Heading, Typed   string
	Expected, Showed string
}

func (m Mismatch) Error() string {
	return fmt.Sprintf("line %d, under %q, after %q\n     the lesson shows:\n%s\n     the terminal shows:\n%s",
		m.Line, m.Heading, m.Typed, indent(m.Expected), indent(m.Showed))
}

func indent(text string) string {
	return "       " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n       ")
}

// Report is what came of a file.
type Report struct {
	Ran, Left int // steps that were compared, blocks that were left out
	Findings  []error
}

// Run types what the blocks say and compares what is shown. A block that differs ends the
// file, because what follows may build on it.
func (s Session) Run(blocks []Block) (Report, error) {
	dir, err := os.MkdirTemp("", "lesson")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	defer removeStores(dir)
	r := &runner{Session: s, dir: dir, terminals: map[string]*terminal{}, memory: memory{}, typed: map[*terminal]string{}}
	defer r.close()
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o777); err != nil {
			return Report{}, err
		}
	}
	for _, b := range blocks {
		if b.NoRun != "" || b.As == "root" && os.Geteuid() != 0 {
			r.report.Left++
			continue
		}
		if err := r.block(b); err != nil {
			r.report.Findings = append(r.report.Findings, err)
			break
		}
	}
	return r.report, nil
}

// removeStores removes what the boxes of a session have kept.
func removeStores(dir string) {
	stores, _ := filepath.Glob(dir + "-store-*")
	for _, store := range stores {
		os.RemoveAll(store)
	}
}

type runner struct {
	Session
	dir       string
	terminals map[string]*terminal
	typed     map[*terminal]string // what was typed last
	memory    memory
	report    Report
}

func (r *runner) close() {
	for _, t := range r.terminals {
		t.close()
	}
}

// terminal is the one that a block belongs to, opened when it is needed first.
func (r *runner) terminal(b Block) (*terminal, error) {
	uid := os.Geteuid()
	if b.As == "user" && uid == 0 {
		uid = r.User
	}
	key := fmt.Sprint(b.Terminal, " ", uid)
	if t := r.terminals[key]; t != nil {
		return t, nil
	}
	t, err := openTerminal(r.dir, r.Bin+":"+os.Getenv("PATH"), uid)
	if err != nil {
		return nil, err
	}
	r.terminals[key] = t
	return t, t.settle(r.Patience)
}

func (r *runner) block(b Block) error {
	t, err := r.terminal(b)
	if err != nil {
		return err
	}
	for i, step := range b.Steps {
		if step.Typed != nil {
			if err := r.enter(t, step); err != nil {
				return fmt.Errorf("line %d: %w", step.Line, err)
			}
		}
		last := i == len(b.Steps)-1
		switch {
		case !last && b.Steps[i+1].Key:
			err = t.running(r.Patience)
		case last && step.Typed != nil && *step.Typed == "":
			return t.settle(r.Patience) // what Enter brings is in a later block
		default:
			err = r.compare(t, b, step)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) enter(t *terminal, step Step) error {
	if step.Key {
		r.typed[t] = *step.Typed // which is how the terminal echoes it
		return t.press((*step.Typed)[1] - '@')
	}
	line, err := r.memory.fill(*step.Typed)
	if err != nil {
		return err
	}
	r.typed[t] = line
	return t.enter(line)
}

func (r *runner) compare(t *terminal, b Block, step Step) error {
	if err := t.settle(r.Patience); err != nil {
		return fmt.Errorf("line %d, under %q, after %q: %w", step.Line, b.Heading, r.typed[t], err)
	}
	r.report.Ran++
	if shown := t.output(r.typed[t]); !r.memory.match(step.Expect, shown) {
		return Mismatch{step.Line, b.Heading, r.typed[t], strings.Join(step.Expect, "\n"), shown}
	}
	return nil
}
