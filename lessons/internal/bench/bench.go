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
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// Entrant is a program that is timed.
type Entrant struct {
	Label string
	Argv  []string
	Env   []string             // in addition to the caller's
	Reset func() error         // what has to be done before each run, untimed; may be nil
	Many  int                  // so many at once, as one run; 0 is 1
	Each  func(n int) []string // the command line of the nth of many; nil is Argv
}

// Result is what came of an entrant's runs.
type Result struct {
	Label  string
	Times  []time.Duration // sorted
	Faults int64           // median number of page faults of a run, children's included
	Failed int
	Said   string // the end of what the first failed run printed
}

// Median is the middle of the times.
func (r Result) Median() time.Duration { return r.at(0.5) }

// at is the time that a share of all runs did not exceed.
func (r Result) at(share float64) time.Duration {
	if len(r.Times) == 0 {
		return 0
	}
	return r.Times[min(int(share*float64(len(r.Times))), len(r.Times)-1)]
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
	if one.failed {
		if r.Failed++; r.Said == "" {
			r.Said = one.said
		}
	}
}

// outcome is one run.
type outcome struct {
	took   time.Duration
	faults int64
	failed bool
	said   string
}

// run runs an entrant once.
func (e Entrant) run(ctx context.Context) (all outcome) {
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
		// Its ru_maxrss would be ours: until its execve, the process shares our memory.
		o.faults = cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt
	}
	return o
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// Print writes the results as a table; ratios are to the first row.
func Print(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "MEDIAN\tMIN\tP90\tRATIO\tFAULTS\tFAILED\t  WHAT")
	for _, r := range results {
		ratio, failed := "-", ""
		if base := results[0].Median(); base > 0 {
			ratio = fmt.Sprintf("%.2f", float64(r.Median())/float64(base))
		}
		if r.Failed > 0 {
			failed = fmt.Sprintf("%d: %s", r.Failed, r.Said)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t  %s\n", ms(r.Median()), ms(r.at(0)), ms(r.at(0.9)),
			ratio, r.Faults, failed, r.Label)
	}
	return table.Flush()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
