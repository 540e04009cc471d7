// Box builds images from Dockerfiles, remembers every step, and runs containers from them.
//
// This stage adds cache.go, to read from top to bottom; reasons.go, checksum.go and download.go.
// The verbs and their flags are in the files cmd_*.go.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/flags"
	"stagebox/stage01-namespaces/plan"
)

// commands are what box can do; the flags and Run of each are in the file of its subject.
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
	{"update", "Change the limits of a container that runs; 0 lifts one.", &updateCmd{}},
	{"rootfs", "Make a small root for containers, of this host's own programs.", &rootfsCmd{}},
	{"ps", "List the containers.", &psCmd{}},
	{"start", "Run containers again that have ended.", &startCmd{}},
	{"stop", "Ask containers to end, and kill those that do not.", &stopCmd{}},
	{"kill", "Send a signal to containers.", &killCmd{}},
	{"wait", "Wait until containers have ended, and print their exit statuses.", &waitCmd{}},
	{"logs", "Show what a container that was left running has printed.", &logsCmd{}},
	{"cp", "Copy files between a container and the host.", &cpCmd{}},
	{"rename", "Give a container another name.", &renameCmd{}},
	{"top", "Show the processes of a container.", &topCmd{}},
	{"rm", "Remove containers.", &rmCmd{}},
	{"inspect", "Show all that is known of containers, or a picture of their layers.",
		&inspectCmd{}},
	{"diff", "List what a container has changed in its files.", &diffCmd{}},
	{"commit", "Make a layer of what a container has changed.", &commitCmd{}},
	{"export", "Write a container's files as a tar archive.", &exportCmd{}},
	{"volume", "Make, list, show and remove volumes.", &volumeCmd{}},
	{"create", "Make a container that start runs later.", &createCmd{}},
	{"restart", "Stop containers, and start them again.", &restartCmd{}},
	{"attach", "See what a container prints, and type to it.", &attachCmd{}},
	{"pull", "Get an image from a registry.", &pullCmd{}},
	{"push", "Send an image to a registry.", &pushCmd{}},
	{"login", "Log in to a registry.", &loginCmd{}},
	{"logout", "Forget a login.", &logoutCmd{}},
	{"search", "Look for images in a registry.", &searchCmd{}},
	{"images", "List the images that are here.", &imagesCmd{}},
	{"tag", "Give an image another name.", &tagCmd{}},
	{"rmi", "Remove images.", &rmiCmd{}},
	{"image", "Remove unused images.", &imageCmd{}},
	{"history", "Show how an image came to be, and what each step has added.", &historyCmd{}},
	{"save", "Write images to an archive.", &saveCmd{}},
	{"load", "Read images from an archive.", &loadCmd{}},
	{"import", "Make an image of an archive of files.", &importCmd{}},
	{"build", "Make an image by the instructions of a Dockerfile.", &buildCmd{}},
	{"builder", "Forget steps of builds.", &builderCmd{}},
	{"system", "Show what the store takes of the disk.", &systemCmd{}},
	{"inside", "", &insideCmd{}},
}

func main() {
	rootFirst()
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	} else if args[0] == "--version" {
		args[0] = "version"
	}
	run, err := read(args)
	if err == nil {
		err = run()
	}
	os.Exit(status(err))
}

// read returns the Run of the command that args name. Describing a command to kong takes longer
// than reading an everyday line for it, which flags.Parse does.
func read(args []string) (run func() error, err error) {
	for _, c := range commands {
		if c.name == args[0] {
			run = flags.Parse(c.command, args[1:])
		}
	}
	if run != nil {
		return run, nil
	}
	ctx, err := parser(args).Parse(args)
	if err != nil {
		return nil, fmt.Errorf("%w; see box --help, and box COMMAND --help", err)
	}
	return func() error { return ctx.Run() }, nil
}

// parser knows the command that args name, or all of them for a help text. Describing one
// takes a tenth of the time in which a container starts, describing all several times that.
func parser(args []string) *kong.Kong {
	options := []kong.Option{
		kong.Name("box"),
		kong.Description("A container is a list of system calls. " +
			"box makes them, and shows them with --explain."),
		kong.Vars{"namespaces": kindNames()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(help),
		kong.WithHyphenPrefixedParameters(true), // a flag's value may be negative
		kong.PostBuild(flags.AsDocker),
	}
	var all []kong.Option
	for _, c := range commands {
		command := kong.DynamicCommand(c.name, c.help, "", c.command)
		if len(args) > 0 && args[0] == c.name {
			return kong.Must(&struct{}{}, append(options, command)...)
		}
		if c.help != "" { // the others box keeps for itself
			all = append(all, command)
		}
	}
	return kong.Must(&struct{}{}, append(options, all...)...)
}

// help is kong's, except that it shows flags where they belong: box passes everything after
// the command's first word to the command.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	var text bytes.Buffer
	out := ctx.Stdout
	ctx.Stdout = &text
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Stdout = out
	usage, rest, _ := strings.Cut(text.String(), "\n")
	if name, args, found := strings.Cut(strings.TrimSuffix(usage, " [flags]"), " <"); found {
		usage = strings.NewReplacer(
			"<command>", "<command> [<arg> ...]",
			"run [flags] <image>", "run [flags] <image> [<command> [<arg> ...]]",
			"create [flags] <image>", "create [flags] <image> [<command> [<arg> ...]]",
		).Replace(name + " [flags] <" + args)
	}
	fmt.Fprintln(out, usage)
	fmt.Fprint(out, rest)
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
	if errors.As(err, new(errBuild)) {
		return 1
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
