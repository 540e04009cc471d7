// Package bench times programs side by side: each in turn, in an order that changes from round
// to round, so that what slows the machine down meanwhile slows all of them. It measures; it
// judges nothing.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Entrant is a program that is timed.
type Entrant struct {
	Label string
	Argv  []string
	Env   []string             // in addition to the caller's
	Reset func() error         // what has to be done before each run, untimed; may be nil
	Many  int                  // so many at once, as one run; 0 is 1
	Each  func(n int) []string // the command line of the nth of many; nil is Argv
	Peak  bool                 // its peak memory is asked for, not its time
}

// Result is what came of an entrant's runs.
type Result struct {
	Label  string
	Times  []time.Duration // sorted
	Peaks  []int64         // peak memory in KiB, sorted, of an entrant that was asked for it
	Faults int64           // median number of page faults of a run, children's included
	Failed int
	Said   string // the end of what the first failed run printed
}

// figures are what the runs are compared by, in ms or in MiB.
func (r Result) figures() (list []float64, unit string) {
	for _, kib := range r.Peaks {
		list, unit = append(list, float64(kib)/1024), "MiB"
	}
	if unit != "" {
		return list, unit
	}
	for _, t := range r.Times {
		list = append(list, float64(t)/float64(time.Millisecond))
	}
	return list, "ms"
}

// at is the figure that a share of all runs did not exceed.
func at(figures []float64, share float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	return figures[min(int(share*float64(len(figures))), len(figures)-1)]
}

// Run times the entrants: each once without counting it, then rounds times. Results are in the
// order of the entrants.
func Run(ctx context.Context, entrants []Entrant, rounds int) ([]Result, error) {
	results := make([]Result, len(entrants))
	faults := make([][]int64, len(entrants))
	order := make([]int, len(entrants))
	for i, e := range entrants {
		results[i].Label, order[i] = e.Label, i
	}
	for round := -1; round < rounds; round++ {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			if entrants[i].Reset != nil {
				if err := entrants[i].Reset(); err != nil {
					return nil, fmt.Errorf("%s: before a run: %w", entrants[i].Label, err)
				}
			}
			one := entrants[i].run(ctx)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if round >= 0 {
				results[i].add(one)
				faults[i] = append(faults[i], one.faults)
			}
		}
	}
	for i := range results {
		slices.Sort(results[i].Times)
		slices.Sort(results[i].Peaks)
		slices.Sort(faults[i])
		if n := len(faults[i]); n > 0 {
			results[i].Faults = faults[i][n/2]
		}
	}
	return results, nil
}

// add counts a run.
func (r *Result) add(one outcome) {
	r.Times = append(r.Times, one.took)
	if one.peak > 0 {
		r.Peaks = append(r.Peaks, one.peak)
	}
	if one.failed {
		if r.Failed++; r.Said == "" {
			r.Said = one.said
		}
	}
}

// outcome is one run.
type outcome struct {
	took   time.Duration
	peak   int64 // KiB
	faults int64
	failed bool
	said   string
}

// run runs an entrant once.
func (e Entrant) run(ctx context.Context) (all outcome) {
	if e.Peak {
		return peak(ctx, e.Argv, e.Env)
	}
	n := max(e.Many, 1)
	done := make(chan outcome, n)
	start := time.Now()
	for i := range n {
		argv := e.Argv
		if e.Each != nil {
			argv = e.Each(i)
		}
		go func() { done <- once(ctx, argv, e.Env) }()
	}
	for range n {
		one := <-done
		all.faults += one.faults
		if one.failed {
			all.failed, all.said = true, cmp.Or(all.said, one.said)
		}
	}
	all.took = time.Since(start)
	return all
}

// once runs a command line to its end.
func once(ctx context.Context, argv, env []string) outcome {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stderr = &said
	err := cmd.Run()
	o := outcome{failed: err != nil, said: lastLine(said.String())}
	if err != nil && o.said == "" {
		o.said = err.Error()
	}
	if cmd.ProcessState != nil {
		o.faults = cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt
	}
	return o
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// peak runs a command line to its end for its peak memory. The kernel counts what a process had
// before its execve(2) too, and a child of ours shares our memory until then. So a shell, which is
// small, starts it and ends; it is ours to wait for afterwards, because this process is the reaper
// of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER). It begins when the shell has ended, which
// might wait for it otherwise.
func peak(ctx context.Context, argv, env []string) outcome {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return outcome{failed: true, said: "prctl PR_SET_CHILD_SUBREAPER: " + err.Error()}
	}
	said, stderr, err := os.Pipe()
	if err != nil {
		return outcome{failed: true, said: err.Error()}
	}
	defer said.Close()
	hold, begin, err := os.Pipe()
	if err != nil {
		return outcome{failed: true, said: cmp.Or(stderr.Close(), err).Error()}
	}
	const script = `{ read held <&3; exec "$@" 3<&-; } >/dev/null & echo $!`
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh"}, argv...)...)
	cmd.Env, cmd.Stderr = append(cmd.Environ(), env...), stderr
	cmd.ExtraFiles = []*os.File{hold}
	out, err := cmd.Output()
	err = cmp.Or(err, hold.Close(), begin.Close())
	pid, errPID := strconv.Atoi(strings.TrimSpace(string(out)))
	if err = cmp.Or(err, errPID, stderr.Close()); err != nil {
		return outcome{failed: true, said: "sh: " + err.Error()}
	}
	defer context.AfterFunc(ctx, func() { unix.Kill(pid, unix.SIGKILL) })()
	text, _ := io.ReadAll(said) // until it ends
	var status unix.WaitStatus
	var used unix.Rusage
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Wait4(pid, &status, 0, &used)
	}
	o := outcome{peak: used.Maxrss, faults: used.Minflt, failed: err != nil || status != 0}
	if o.said = lastLine(string(text)); o.failed && o.said == "" {
		o.said = fmt.Sprintf("exit status %d", status.ExitStatus())
	}
	return o
}

// Print writes the results as a table; ratios are to the first row without a failed run, since what
// fails is quick.
func Print(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "MEDIAN\tMIN\tP90\tRATIO\tFAULTS\tFAILED\t  WHAT")
	base := 0.0
	if i := slices.IndexFunc(results, func(r Result) bool { return r.Failed == 0 }); i >= 0 {
		figures, _ := results[i].figures()
		base = at(figures, 0.5)
	}
	for _, r := range results {
		ratio, failed := "-", ""
		figures, unit := r.figures()
		if base > 0 {
			ratio = fmt.Sprintf("%.2f", at(figures, 0.5)/base)
		}
		if r.Failed > 0 {
			failed = fmt.Sprintf("%d: %s", r.Failed, r.Said)
		}
		for _, share := range []float64{0.5, 0, 0.9} {
			fmt.Fprintf(table, "%.1f %s\t", at(figures, share), unit)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t  %s\n", ratio, r.Faults, failed, r.Label)
	}
	return table.Flush()
}
