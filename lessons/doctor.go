package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/host"
	"stagebox/lessons/internal/stages"
)

// doctorCmd prints what package host has found out.
type doctorCmd struct {
	Stage int    `arg:"" optional:"" help:"Check only what this stage needs."`
	All   bool   `help:"Also report the checks that passed."`
	Probe string `hidden:"" help:"Internal: one trial in namespaces that doctor has created."`
}

// probes is how this binary is made to run with --probe.
var probes = host.Self{"doctor", "--probe"}

// Run fails when a stage that the repository has cannot work here.
func (c *doctorCmd) Run() error {
	if c.Probe != "" {
		return probes.Probe(c.Probe, os.Stdin, os.Stdout)
	}
	last := len(host.Topics) - 1
	if c.Stage < 0 || c.Stage > last {
		return fmt.Errorf("there is no stage %d: the stages are 1 to %d", c.Stage, last)
	}
	h, err := host.Here(probes)
	if err != nil {
		return err
	}
	built, err := c.built(last)
	if err != nil {
		return err
	}
	report := c.report(h)
	newDoctorSheet(os.Stdout).report(h, report, c.All)
	return c.verdict(report, built)
}

// report is what was found about the chosen stages, with the system that is under all of them.
func (c *doctorCmd) report(h *host.Host) []host.Stage {
	report := h.Examine()
	if c.Stage > 0 {
		return []host.Stage{report[0], report[c.Stage]}
	}
	return report
}

// built is the number of the last stage that the repository has. Away from it, a
// compiled workbench answers for all.
func (c *doctorCmd) built(last int) (int, error) {
	root, err := stages.Root()
	if err != nil {
		return last, nil
	}
	all, err := stages.All(root)
	return len(all), err
}

// verdict is an error when a stage up to number built cannot work.
func (c *doctorCmd) verdict(report []host.Stage, built int) error {
	var names []string
	for _, s := range report {
		if s.State == host.No && s.Number <= built {
			names = append(names, s.String())
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("cannot work on this host yet: %s", strings.Join(names, ", "))
}

// doctorSheet is the paper that is written on: a terminal of some width, or a file of 80 columns.
type doctorSheet struct {
	out   io.Writer
	width int
	color bool
}

func newDoctorSheet(out *os.File) *doctorSheet {
	s := &doctorSheet{out: out, width: 80}
	if size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ); err == nil {
		s.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if size.Col > 0 {
			s.width = min(max(int(size.Col), 40), 100)
		}
	}
	return s
}

const (
	ansiBold   = "1"
	ansiGreen  = "32"
	ansiYellow = "33"
	ansiRed    = "31"
	ansiCyan   = "36"
)

var stateColors = map[host.State]string{host.OK: ansiGreen, host.Less: ansiYellow, host.No: ansiRed}

func (s *doctorSheet) paint(color, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// report writes the whole: a line on the host, a paragraph a stage, a line that sums up.
func (s *doctorSheet) report(h *host.Host, report []host.Stage, all bool) {
	fmt.Fprintln(s.out, s.paint(ansiBold, s.wrap(strings.Join(portrait(h), ", "), 0)))
	for _, stage := range report {
		if stage.Number > 0 || all {
			s.heading(stage)
		}
		s.results(stage, all)
	}
	fmt.Fprintln(s.out)
	s.sum(report)
	if !all {
		fmt.Fprintln(s.out, s.wrap("Every check with its answer: go run ./lessons doctor --all", 0))
	}
}

// portrait is the host in a few words.
func portrait(h *host.Host) []string {
	words := []string{"Linux " + h.Kernel() + " " + h.Machine, h.Distribution(), h.Who()}
	if place := h.Place(); place != "" {
		words = append(words, place)
	}
	return words
}

func (s *doctorSheet) heading(stage host.Stage) {
	words := map[host.State]string{host.OK: "ready", host.Less: "ready, with limits", host.No: "cannot work here"}
	text := words[stage.State]
	if stage.Lacks >= 0 {
		text = fmt.Sprintf("waits for %02d %s", stage.Lacks, host.Topics[stage.Lacks])
	}
	fmt.Fprintf(s.out, "\n%s  %s\n", s.paint(ansiBold, fmt.Sprintf("%-16s", stage)), s.paint(stateColors[stage.State], text))
}

// results writes every check's answer, or what is well in one line and then the rest, the
// worst first.
func (s *doctorSheet) results(stage host.Stage, all bool) {
	if all {
		for _, r := range stage.Results {
			s.line(r.State, r.Name+": "+r.Text, r.Mend)
		}
		return
	}
	var briefs []string
	for _, r := range stage.Results {
		if r.State == host.OK {
			briefs = append(briefs, cmp.Or(r.Brief, r.Name))
		}
	}
	if stage.Number > 0 && len(briefs) > 0 {
		s.line(host.OK, strings.Join(briefs, ", "), nil)
	}
	for _, state := range []host.State{host.No, host.Less} {
		for _, r := range stage.Results {
			if r.State == state {
				s.line(state, r.Text, r.Mend)
			}
		}
	}
}

// line writes a sentence behind its state, and below it what to do. Commands are never
// wrapped: people copy them.
func (s *doctorSheet) line(state host.State, text string, mend []string) {
	fmt.Fprint(s.out, "   ", s.paint(stateColors[state], fmt.Sprintf("%-4s", state)), "  ")
	fmt.Fprintln(s.out, s.wrap(text, 9))
	for _, command := range mend {
		fmt.Fprintln(s.out, strings.Repeat(" ", 11)+s.paint(ansiCyan, command))
	}
}

// wrap breaks text between words; it begins in column indent, and so does each line of it.
func (s *doctorSheet) wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(word) > s.width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// sum writes which stages work in full, which with limits, which not.
func (s *doctorSheet) sum(report []host.Stage) {
	groups := []struct {
		state host.State
		words string
	}{{host.OK, "in full"}, {host.Less, "with limits"}, {host.No, "not"}}
	var parts []string
	for _, g := range groups {
		var numbers []string
		for _, stage := range report {
			if stage.Number > 0 && stage.State == g.state {
				numbers = append(numbers, fmt.Sprintf("%02d", stage.Number))
			}
		}
		if numbers != nil {
			parts = append(parts, s.paint(stateColors[g.state], g.words+" "+strings.Join(numbers, " ")))
		}
	}
	fmt.Fprintln(s.out, "Works here: "+strings.Join(parts, ", "))
	for _, stage := range report {
		if stage.Lacks >= 0 {
			begin := fmt.Sprintf("Begin with what is marked no in %02d %s: later stages wait for it", stage.Lacks, host.Topics[stage.Lacks])
			fmt.Fprintln(s.out, s.wrap(begin, 0))
			return
		}
	}
}
