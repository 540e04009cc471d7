// Command lessons is the workbench of the workshop: it shows what the host
// offers, compares stages, checks a binary against the behaviour suite and keeps
// the copies and the prose true. Run it as `go run ./lessons COMMAND`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"stagebox/lessons/internal/verify"
	"stagebox/stage01-namespaces/flags"
	"stagebox/stage01-namespaces/plan"
)

// cli lists the workbench's commands; each lives in the file of its name.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"Show what the stages can do on this host, in under a minute."`
	Doctor   doctorCmd   `cmd:"" help:"Check what this host offers for each stage and how to get what is missing."`
	List     listCmd     `cmd:"" help:"List the stages, what each adds and how much code it takes."`
	Read     readCmd     `cmd:"" help:"Print the code of a stage in reading order, with notes."`
	Diff     diffCmd     `cmd:"" help:"Show what a stage changes in the one before."`
	Check    checkCmd    `cmd:"" help:"Run the behaviour suite on a stage's binary, or on your own."`
	Start    startCmd    `cmd:"" help:"Copy a stage to a directory outside the repository, for its exercises."`
	Try      tryCmd      `cmd:"" help:"Check an exercise in your copy, or show a hint."`
	VM       vmCmd       `cmd:"" name:"vm" help:"Run a program in a virtual machine that has only cgroup version 2."`
	Verify   verifyCmd   `cmd:"" help:"Check that the copies, the prose and the transcripts still agree with the code."`
	Quote    quoteCmd    `cmd:"" help:"Update the code that the lessons quote."`
	Carry    carryCmd    `cmd:"" help:"Apply the changes made in a stage to all later stages."`
	Serve    serveCmd    `cmd:"" help:"Serve the lessons and the code of each stage to a browser on this machine."`
	Play     playCmd     `cmd:"" help:"Show a lesson beside two terminals in a virtual machine that you may break."`
	Site     siteCmd     `cmd:"" help:"Write the pages of serve as files, for any web server."`
	Present  presentCmd  `cmd:"" help:"Play a lesson's commands in this terminal, one per key press, with notes for the speaker elsewhere."`
	Pictures picturesCmd `cmd:"" help:"Draw the lessons' pictures from what the stages do on this host."`
	Test     testCmd     `cmd:"" help:"Run all tests and report each as it ends."`
	Bench    benchCmd    `cmd:"" help:"Compare box with other runtimes and builders on this host."`
	Soak     soakCmd     `cmd:"" help:"Run all tests in their long form."`
}

func main() {
	parser := kong.Must(&cli{},
		kong.Name("lessons"),
		kong.Description("The workbench of the workshop. Run it inside the repository: go run ./lessons COMMAND."),
		kong.Vars{"color": fmt.Sprint(colorWanted()), "rules": strings.Join(verify.RuleNames(), ", "), "benchrows": benchRows()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.KindMapper(reflect.Int, wholeNumber))
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(flags.AsHelp(args))
	if err != nil {
		fail(flags.Explain("go run ./lessons", err), 2)
	}
	surviveClosedOutput(ctx.Command())
	err = ctx.Run()
	if plan.OutputIsClosed() {
		return // what reads it has had enough: any word would be for no one
	}
	var exit exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case errors.Is(err, context.Canceled):
		fail(errors.New("interrupted"), 1)
	case err != nil:
		fail(err, 1)
	}
}

// fail prints one sentence and leaves.
func fail(err error, code int) {
	fmt.Fprintln(os.Stderr, "lessons:", err)
	os.Exit(code)
}
