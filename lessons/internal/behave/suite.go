package behave

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Suite is the table as it is held against one binary.
type Suite struct {
	Binary   string // any program with box's command line
	Stage    int    // rows of later stages are left out
	Words    string // only rows in whose names these words stand, in any case; "" for all
	Slow     bool   // the slow rows too
	Long     bool   // rows that do something many times do it more often
	Controls bool   // each row against its broken binary too
	Workers  int    // how many rows Run has side by side; 0 leaves it to the number of CPUs

	// New leaves out the controls of earlier stages' rows: a control is about the check,
	// which is the same in every stage.
	New bool
	// Thin, unless it is 0, leaves out the slow rows of earlier stages, and of their other rows all
	// but one in so many; Part, which is less, says which.
	Thin int
	Part int

	// For exercises, whose binaries are a stage and a piece of the next, or one without a protection.
	Names  []string // the rows with exactly these names alone, of whatever stage
	Except []string // not these
	Every  int      // of the others only each n-th; 0 and 1 are all
	Maker  string   // makes the roots for the checks, where Binary cannot; "" is Binary itself

	// Ready has checks begin with a copy of a store in which the image tiny is, but for the rows
	// that are Fresh. It is for binaries whose store may be copied, as that of each stage may.
	Ready bool
}

// Outcome is what a check ran, and what it found out.
type Outcome struct {
	Ran []string // command lines
	Seen
}

// Result is what came of a row for one person.
type Result struct {
	Row     Row
	As      string // whose runs they were: "root", "user 1000"
	Skipped string // why there is no outcome, or ""
	Outcome
	Control *Outcome // of the broken binary; nil when it was not tried
}

// OK reports whether the row holds, and its check can fail: it has looked at the broken
// binary, and has seen something else.
func (r Result) OK() bool {
	return r.Holds && (r.Control == nil || !r.Control.Holds && r.Control.Err == nil)
}

// Rows are those that apply, in the table's order.
func (s Suite) Rows() []Row {
	if len(s.Names) > 0 {
		return s.named()
	}
	var rows []Row
	for i, row := range table {
		if slices.Contains(s.Except, row.Name) || s.Every > 1 && i%s.Every != s.Stage%s.Every {
			continue
		}
		if s.Thin > 0 && row.Since < s.Stage && i%s.Thin != (s.Stage+s.Part)%s.Thin {
			continue
		}
		named := strings.Contains(strings.ToLower(row.Name), strings.ToLower(s.Words))
		slow := s.Slow && (s.Thin == 0 || row.Since == s.Stage)
		known := row.Since <= s.Stage && (row.Until == 0 || s.Stage <= row.Until)
		if known && named && (slow || !row.Slow) {
			rows = append(rows, row)
		}
	}
	return rows
}

// named are the rows that Names names.
func (s Suite) named() []Row {
	all := slices.Concat(table, exerciseRows)
	return slices.DeleteFunc(all, func(row Row) bool { return !slices.Contains(s.Names, row.Name) })
}

// Job is a row and the person whose runs it is about.
type Job struct {
	Row    Row
	As     string // "root", "user 1000"
	Who    Who
	person person
}

// Bench is a suite that has been set up. Its jobs may be done side by side, in any order.
type Bench struct {
	*workplace
	jobs []Job
}

// Open prepares to hold the rows against the binary. Close has to follow.
func (s Suite) Open(ctx context.Context) (*Bench, error) {
	w, err := s.setUp(ctx)
	if err != nil {
		return nil, err
	}
	people, err := people(w.binary)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	b := &Bench{workplace: w}
	for _, p := range people {
		for _, row := range s.Rows() {
			if p.concerns(row) {
				b.jobs = append(b.jobs, Job{row, p.name, p.who, p})
			}
		}
	}
	return b, nil
}

// Jobs are all that there is to do: root's rows in the table's order, then an ordinary user's.
func (b *Bench) Jobs() []Job { return b.jobs }

// Do holds one row against the binary. It returns an error when it could not look, also when
// the bench's context is done. Rows that must be alone are the caller's to keep apart.
func (b *Bench) Do(j Job) (Result, error) {
	result, err := b.result(j.Row, j.person)
	if b.ctx.Err() != nil {
		return result, context.Cause(b.ctx)
	}
	if err != nil {
		err = fmt.Errorf("%q: %w", j.Row.Name, err)
	}
	return result, err
}

// Close removes what was prepared.
func (b *Bench) Close() error { return b.close() }

// Run holds the rows against the binary, some of them side by side, and reports each result in
// the order of Jobs. It returns an error when it could not go on, also when ctx is done, and
// leaves neither files nor processes.
func (s Suite) Run(ctx context.Context, report func(Result)) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bench, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	return bench.run(cancel, report)
}

// run does the jobs that must be alone, then has workers take the others in their order. What
// is found waits until the jobs before it were reported. All workers have ended when it returns.
func (b *Bench) run(cancel context.CancelCauseFunc, report func(Result)) error {
	results := make([]chan Result, len(b.jobs))
	alone, sideBySide := make(chan int, len(b.jobs)), make(chan int, len(b.jobs))
	for i, job := range b.jobs {
		results[i] = make(chan Result, 1)
		if job.Row.Alone != "" {
			alone <- i
		} else {
			sideBySide <- i
		}
	}
	close(alone)
	close(sideBySide)
	b.work(alone, results, cancel)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range b.workers() {
		workers.Go(func() { b.work(sideBySide, results, cancel) })
	}
	for _, result := range results {
		select {
		case r := <-result:
			report(r)
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		}
	}
	return nil
}

// work does jobs until none is left, or until one cannot be done.
func (b *Bench) work(todo <-chan int, results []chan Result, cancel context.CancelCauseFunc) {
	for i := range todo {
		if b.ctx.Err() != nil {
			return
		}
		result, err := b.Do(b.jobs[i])
		if err != nil {
			cancel(err)
			return
		}
		results[i] <- result
	}
}

// workers is how many rows run side by side. They wait more than they work.
func (s Suite) workers() int {
	if s.Workers > 0 {
		return s.Workers
	}
	return min(3*runtime.NumCPU(), 12)
}

// workplace is a directory that everybody can enter, with a copy of the binary. Checks use it
// side by side.
type workplace struct {
	Suite
	kernel
	ctx       context.Context
	dir       string
	binary    string
	maker     string       // of roots
	checks    atomic.Int64 // how many were made
	forgotten *os.File     // for Box
	roots     [User + 1]sharedRoot
	stores    [User + 1]readyStore
	sessions  sessions
}

func (s Suite) setUp(ctx context.Context) (w *workplace, err error) {
	program, err := os.ReadFile(s.Binary)
	if err != nil {
		return nil, fmt.Errorf("the binary to check: %w", err)
	}
	temp, err := filepath.EvalSymlinks(os.TempDir()) // the kernel tells no other paths
	if err != nil {
		return nil, err
	}
	w = &workplace{Suite: s, ctx: ctx}
	if w.dir, err = os.MkdirTemp(temp, "stagebox-check"); err != nil {
		return nil, err
	}
	w.binary = filepath.Join(w.dir, "box")
	err = errors.Join(os.Chmod(w.dir, 0o755), writeProgram(w.binary, program), w.placeMaker())
	if err == nil {
		w.kernel, err = openKernel()
	}
	if err == nil {
		w.forgotten, err = os.Open(os.DevNull)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// placeMaker puts the program that makes roots beside the binary.
func (w *workplace) placeMaker() error {
	w.maker = w.binary
	if w.Maker == "" {
		return nil
	}
	program, err := os.ReadFile(w.Maker)
	if err != nil {
		return err
	}
	w.maker = filepath.Join(w.dir, "maker")
	return writeProgram(w.maker, program)
}

// close may find directories on which a misbehaving binary has left a mount: in another
// mount namespace, and need not.
func (w *workplace) close() error {
	if w.proc != nil {
		w.proc.Close()
		w.procDir.Close()
	}
	if w.forgotten != nil {
		w.forgotten.Close()
	}
	return os.RemoveAll(w.dir)
}

// result runs the check of a row, and when it holds, its control.
func (w *workplace) result(row Row, p person) (Result, error) {
	r := Result{Row: row, As: p.name, Skipped: p.missing}
	if _, err := w.proc.Lstat(row.Needs); row.Needs != "" && err != nil {
		r.Skipped = "the kernel has no /proc/" + row.Needs
	}
	if r.Skipped != "" {
		return r, nil
	}
	outcome, err := w.check(row, p, w.binary)
	r.Outcome, r.Skipped = outcome, outcome.Cannot
	if err != nil || !w.Controls || !r.Holds || w.New && row.Since != w.Stage {
		return r, err
	}
	script := filepath.Join(w.dir, fmt.Sprintf("broken-%d", w.checks.Add(1)))
	if err := writeProgram(script, broken(w.binary, row.Broken)); err != nil {
		return r, err
	}
	outcome, err = w.check(row, p, script)
	r.Control = &outcome
	return r, errors.Join(err, os.Remove(script))
}

// removeStore removes a store, also the directories that the kernel has closed to their own
// owner, an ordinary user: the working directories of overlays.
func removeStore(dir string) error {
	closed, err := filepath.Glob(filepath.Join(dir, "containers", "*", "work", "work"))
	for _, work := range closed {
		err = errors.Join(err, os.Chmod(work, 0o700))
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// check has a person run a check on a binary, and ends what is left of it.
func (w *workplace) check(row Row, p person, binary string) (Outcome, error) {
	b := &Box{kernel: w.kernel, person: p, ctx: w.ctx, path: binary, forgotten: w.forgotten, place: w}
	b.ready = w.Ready && w.Stage >= firstImages && !row.Fresh
	b.Dir = filepath.Join(w.dir, itoa(int(w.checks.Add(1))))
	for _, dir := range []string{b.Dir, b.store()} {
		if err := errors.Join(os.Mkdir(dir, 0o711), os.Chown(dir, p.uid, p.gid)); err != nil {
			return Outcome{}, err
		}
	}
	if err := os.Chmod(b.Dir, 0o700); err != nil {
		return Outcome{}, err
	}
	var seen Seen
	var errEnd error
	err := apart(func() {
		seen = row.Check(b)
		errEnd = b.end()
		if b.fault != nil {
			seen = failed(b.fault)
		}
	})
	return Outcome{b.ran, seen}, errors.Join(err, errEnd, os.RemoveAll(b.Dir), removeStore(b.store()))
}
