// Box runs a command in namespaces of its own, within limits on what it may use.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// commands are what box can do; each has its flags and its Run in the file of its subject.
var commands = []struct {
	name, help string
	command    any
}{
	{"run", "Run a command in a new container.", &Container{}},
	{"exec", "Run a command in a container that runs already.", &Entry{}},
	{"lsns", "List the processes that live in other namespaces than this one.", &lsnsCmd{}},
	{"info", "Say what this host offers to containers.", &infoCmd{}},
	{"version", "Print the version.", &versionCmd{}},
	{"stats", "Show what containers use of what they may use.", &statsCmd{}},
	{"pause", "Stop all processes of a container.", &pauseCmd{}},
	{"unpause", "Let them go on.", &unpauseCmd{}},
	{"update", "Change the limits of a container that runs.", &updateCmd{}},
}

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser(args).Parse(args)
	if err != nil {
		err = fmt.Errorf("%w; see box --help, and box COMMAND --help", err)
	} else {
		err = ctx.Run()
	}
	os.Exit(status(err))
}

// parser knows the command that args name, or all of them for a help text. To describe
// one takes a tenth of the time that a container takes, to describe all a multiple.
func parser(args []string) *kong.Kong {
	options := []kong.Option{
		kong.Name("box"),
		kong.Description("A container is a list of system calls. box makes them, and tells them with --explain."),
		kong.Vars{"namespaces": kindNames()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(help),
		kong.WithHyphenPrefixedParameters(true), // a flag's value may be negative
	}
	named := func(name string) bool { return len(args) > 0 && args[0] == name }
	for _, c := range commands {
		if named(c.name) {
			return kong.Must(&struct{}{}, append(options, kong.DynamicCommand(c.name, c.help, "", c.command))...)
		}
	}
	for _, c := range commands {
		options = append(options, kong.DynamicCommand(c.name, c.help, "", c.command))
	}
	return kong.Must(&struct{}{}, options...)
}

// help is kong's, except that the flags stand where they have to: box leaves everything
// behind the command's first word to the command.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	var text bytes.Buffer
	out := ctx.Stdout
	ctx.Stdout = &text
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Stdout = out
	fmt.Fprint(out, strings.Replace(text.String(), "<command> [flags]", "[flags] <command> [<arg> ...]", 1))
	return err
}

// status prints an error as a sentence and returns Docker's exit status for it: 125 when
// box could not do its part, 127 for a command that does not exist, 126 for one that
// exists and cannot be run, else the command's own.
func status(err error) int {
	var ended plan.ExitStatus
	if err == nil || errors.As(err, &ended) {
		return int(ended)
	}
	fmt.Fprintln(os.Stderr, "box:", err)
	var step plan.StepError
	if !errors.As(err, &step) || !step.AtExecve() {
		return 125
	}
	switch step.Errno {
	case unix.ENOENT, unix.ENOTDIR:
		return 127
	case unix.E2BIG:
		return 125
	}
	return 126
}
