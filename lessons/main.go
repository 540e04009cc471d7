// Command lessons is the workbench of the workshop: it shows what the host
// offers, compares stages, checks a binary against the behaviour suite and keeps
// the copies and the prose true. Run it as `go run ./lessons COMMAND`.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"stagebox/lessons/internal/verify"
)

// cli lists the workbench's commands; each lives in the file of its name.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"Show what the stages can do, on this host, in under a minute."`
	Doctor   doctorCmd   `cmd:"" help:"Say what this host offers for every stage, and how to mend what is missing."`
	List     listCmd     `cmd:"" help:"List the stages: what each adds, and how much code that takes."`
	Read     readCmd     `cmd:"" help:"Print the code of a stage in reading order, with what to see in each part."`
	Diff     diffCmd     `cmd:"" help:"Show what a stage changes against the one before."`
	Check    checkCmd    `cmd:"" help:"Run the behaviour suite against a stage's binary, or against yours."`
	Start    startCmd    `cmd:"" help:"Make your own copy of a stage, outside the repository, to try its exercises in."`
	Try      tryCmd      `cmd:"" help:"Check an exercise in your copy, or show a hint."`
	VM       vmCmd       `cmd:"" name:"vm" help:"Run a program in a virtual machine with cgroup version 2 alone."`
	Verify   verifyCmd   `cmd:"" help:"Check that the copies, the prose and the transcripts are still true."`
	Quote    quoteCmd    `cmd:"" help:"Fill in the code that the lessons quote from the sources."`
	Carry    carryCmd    `cmd:"" help:"Carry what changed in a stage through the later ones."`
	Serve    serveCmd    `cmd:"" help:"Show the lessons, what each stage changes and a search in a browser of this machine."`
	Site     siteCmd     `cmd:"" help:"Write the same pages as files, for any host to serve."`
	Present  presentCmd  `cmd:"" help:"Play a lesson's commands on this terminal: the next one on a key, with notes for the speaker in a file or another terminal."`
	Pictures picturesCmd `cmd:"" help:"Draw the lessons' pictures, from what the stages do here."`
	Test     testCmd     `cmd:"" help:"Run all tests, and show each as it ends."`
	Bench    benchCmd    `cmd:"" help:"Time box beside other runtimes and builders of this host."`
	Soak     soakCmd     `cmd:"" help:"Run all tests, and those that walk at random for much longer."`
}

func main() {
	parser := kong.Must(&cli{},
		kong.Name("lessons"),
		kong.Description("The workbench of the workshop. Run it inside the repository: go run ./lessons COMMAND."),
		kong.Vars{"color": fmt.Sprint(colorWanted()), "rules": strings.Join(verify.RuleNames(), ", "), "benchrows": benchRows()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(err, 2)
	}
	err = ctx.Run()
	var exit exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case err != nil:
		fail(err, 1)
	}
}

// fail prints one sentence and leaves.
func fail(err error, code int) {
	fmt.Fprintln(os.Stderr, "lessons:", err)
	os.Exit(code)
}
