// Box runs containers from images that have names, and brings them from and to registries.
//
// This stage adds from.go, which runs an image and says what to read next: layout.go, layers.go,
// pull.go, archives.go and commit.go; and bundle.go with process.go, which run an engine's bundle.
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
	"stagebox/stage05-images/runtimecli"
)

// commands are what box can do; the flags and Run of each are in the file of its subject.
var commands = []struct {
	name, help string
	command    any
}{
	{"run", "Create a container and run a command in it.", &Container{}},
	{"exec", "Run a command in a running container.", &Entry{}},
	{"lsns", "List processes in namespaces other than this shell's.", &lsnsCmd{}},
	{"info", "Show which container features this host supports.", &infoCmd{}},
	{"version", "Print the version.", &versionCmd{}},
	{"stats", "Show resource usage of containers.", &statsCmd{}},
	{"pause", "Freeze all processes of a container.", &pauseCmd{}},
	{"unpause", "Resume the processes of a paused container.", &unpauseCmd{}},
	{"update", "Change the limits of a container; 0 removes a limit.", &updateCmd{}},
	{"rootfs", "Create a small root file system from this host's programs.", &rootfsCmd{}},
	{"ps", "List containers.", &psCmd{}},
	{"start", "Start stopped containers.", &startCmd{}},
	{"stop", "Stop containers, killing them after a timeout.", &stopCmd{}},
	{"kill", "Send a signal to containers.", &killCmd{}},
	{"wait", "Wait for containers to exit and print their exit codes.", &waitCmd{}},
	{"logs", "Print the output of a detached container.", &logsCmd{}},
	{"cp", "Copy files between a container and the host.", &cpCmd{}},
	{"rename", "Rename a container.", &renameCmd{}},
	{"top", "List the processes of a container.", &topCmd{}},
	{"rm", "Remove containers.", &rmCmd{}},
	{"inspect", "Show details of containers, or draw their layers.", &inspectCmd{}},
	{"diff", "List the files that a container has changed.", &diffCmd{}},
	{"commit", "Create a layer from a container's changes.", &commitCmd{}},
	{"export", "Write a container's files to a tar archive.", &exportCmd{}},
	{"volume", "Manage volumes.", &volumeCmd{}},
	{"create", "Create a container without starting it.", &createCmd{}},
	{"restart", "Restart containers.", &restartCmd{}},
	{"attach", "Connect to a running container's input and output.", &attachCmd{}},
	{"pull", "Pull an image from a registry.", &pullCmd{}},
	{"push", "Push an image to a registry.", &pushCmd{}},
	{"login", "Log in to a registry.", &loginCmd{}},
	{"logout", "Log out from a registry.", &logoutCmd{}},
	{"search", "Search a registry for images.", &searchCmd{}},
	{"images", "List images.", &imagesCmd{}},
	{"tag", "Give an image an additional name.", &tagCmd{}},
	{"rmi", "Remove images.", &rmiCmd{}},
	{"image", "Manage images.", &imageCmd{}},
	{"history", "Show the steps that made an image and the size of each.", &historyCmd{}},
	{"save", "Save images to an archive.", &saveCmd{}},
	{"load", "Load images from an archive.", &loadCmd{}},
	{"import", "Create an image from an archive of files.", &importCmd{}},
	{"inside", "", &insideCmd{}},
	{"runtime", "Make containers of OCI bundles, as runc does.", &runtimeCmd{}},
	{"bundle", "Write an OCI bundle of an image: its files and a config.json.", &bundleCmd{}},
}

func main() {
	args := runtimecli.Args(os.Args)
	if args == nil {
		rootFirst()
		args = os.Args[1:]
	}
	if len(args) == 0 {
		args = []string{"--help"}
	} else if args[0] == "--version" {
		args[0] = "version"
	}
	run, err := read(args)
	if err != nil {
		exit("run", err) // 125, whichever the command is, as in Docker
	}
	exit(args[0], run())
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
		return nil, flags.Explain("box", err)
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

// exit ends box after a command. An error is printed, unless it is only how the program ended.
func exit(command string, err error) {
	if err != nil && !errors.As(err, new(plan.ExitStatus)) {
		fmt.Fprintln(os.Stderr, "box:", err)
	}
	os.Exit(status(command, err))
}

// status is Docker's exit status for the end of a command: the program's own; 127 for a program
// that does not exist, 126 for one that cannot be run, 125 when run has failed before that, and 1
// when another command has failed.
func status(command string, err error) int {
	var ended plan.ExitStatus
	var step plan.StepError
	inPlan := errors.As(err, &step)
	atExecve := inPlan && step.AtExecve() && step.Errno != unix.E2BIG
	switch {
	case err == nil || errors.As(err, &ended):
		return int(ended)
	case command != "run" && command != "exec":
		return 1
	case atExecve && (step.Errno == unix.ENOENT || step.Errno == unix.ENOTDIR):
		return 127
	case atExecve || inPlan && command == "exec":
		return 126
	case command == "exec":
		return 1
	}
	return 125
}
