package transcript

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Session is how the blocks of a file are run.
type Session struct {
	Bin      string        // the directory with box, first in PATH
	User     int           // who as=user is, when root runs this
	Patience time.Duration // how long a command may take

	// For an onlooker. All of them may be left out.
	Typing time.Duration           // the pause after each letter that is typed
	Show   func(b Block) io.Writer // where the terminal of a block is shown, as it speaks
	Stop   <-chan struct{}         // closed to end the wait for what runs
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
	p, err := s.Open()
	if err != nil {
		return Report{}, err
	}
	defer p.Close()
	for _, b := range blocks {
		if s.LeftOut(b) != "" {
			p.report.Left++
			continue
		}
		if err := p.block(b); err != nil {
			p.report.Findings = append(p.report.Findings, err)
			break
		}
	}
	return p.report, nil
}

// LeftOut says why a block is not run here, or nothing.
func (s Session) LeftOut(b Block) string {
	if b.As == "root" && os.Geteuid() != 0 {
		return "needs root"
	}
	if b.Kernel != "" && !isAtLeast(release(), b.Kernel) {
		return "needs Linux " + b.Kernel
	}
	if b.If != "" && exec.Command("sh", "-c", b.If).Run() != nil {
		return "needs a host where this succeeds: " + b.If
	}
	return b.NoRun
}

// release is the kernel's version, such as 6.1.0-18-amd64.
func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// isAtLeast compares the first two numbers of two versions.
func isAtLeast(release, least string) bool {
	var have, want [2]int
	fmt.Sscanf(release, "%d.%d", &have[0], &have[1])
	fmt.Sscanf(least, "%d.%d", &want[0], &want[1])
	return slices.Compare(have[:], want[:]) >= 0
}

// removeStores removes what the boxes of a session have kept. An overlay's work directory lets
// nobody in; its owner, who is not root, has to be let in first.
func removeStores(dir string) {
	stores, _ := filepath.Glob(dir + "-store-*")
	for _, store := range stores {
		filepath.WalkDir(store, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				os.Chmod(name, 0o700) // before it is read
			}
			return nil
		})
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
	t.stop = r.Stop
	if r.Show != nil {
		t.show = r.Show(b)
	}
	r.terminals[key] = t
	return t, t.settle(r.Patience)
}

func (r *runner) block(b Block) error {
	for i := range b.Steps {
		if err := r.step(b, i); err != nil {
			return err
		}
	}
	return nil
}

// step types one step of a block and waits for what it shows.
func (r *runner) step(b Block, i int) error {
	t, err := r.terminal(b)
	if err != nil {
		return err
	}
	step, last := b.Steps[i], i == len(b.Steps)-1
	if step.Typed != nil {
		if err := r.enter(t, step); err != nil {
			return fmt.Errorf("line %d: %w", step.Line, err)
		}
	}
	switch {
	case !last && b.Steps[i+1].Key:
		return t.running(r.Patience)
	case last && step.Typed != nil && *step.Typed == "" && len(step.Expect) == 0:
		return t.settle(r.Patience) // no block shows what Enter brings
	}
	return r.compare(t, b, step)
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
	return t.enter(line, r.Typing)
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
