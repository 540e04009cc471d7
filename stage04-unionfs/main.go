// Box runs containers that last: on layers that they share, within limits and restrictions.
//
// This stage adds overlay.go; then containers.go, store.go and monitor.go, by which a container
// outlives the command; and changes.go, volumes.go and guest.go. Read container.go before them. The
// verbs and their flags are in the files cmd_*.go.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"stagebox/stage01-namespaces/flags"
	"stagebox/stage01-namespaces/plan"
)

// commands are what box can do; the flags and Run of each are in the file of its subject.
var commands = []flags.Command{
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
	{"inspect", "Show details of containers and other objects, or draw layers.", &inspectCmd{}},
	{"diff", "List the files that a container has changed.", &diffCmd{}},
	{"commit", "Save a container's changes for new containers to start from.", &commitCmd{}},
	{"export", "Write a container's files to a tar archive.", &exportCmd{}},
	{"volume", "Manage volumes.", &volumeCmd{}},
	{"create", "Create a container without starting it.", &createCmd{}},
	{"restart", "Restart containers.", &restartCmd{}},
	{"attach", "Connect to a running container's input and output.", &attachCmd{}},
}

func main() {
	rootFirst()
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	} else if args[0] == "--version" {
		args[0] = "version"
	}
	run, err := commandLine().Read(args)
	if err != nil {
		exit("run", err) // 125, whichever the command is, as in Docker
	}
	exit(args[0], run())
}

// commandLine is box as package flags reads it: in a line that is run, all that follows the first
// word is for that command.
func commandLine() flags.Program {
	return flags.Program{Name: "box", Commands: commands,
		Description: "A container is a list of system calls. " +
			"box makes them, and shows them with --explain.",
		Vars: kong.Vars{"namespaces": kindNames()},
		Arguments: []string{
			"<command>", "<command> [<arg> ...]",
		}}
}

// exit ends box after a command. An error is printed, unless it is only how the program ended.
func exit(command string, err error) {
	if err != nil && !errors.As(err, new(plan.ExitStatus)) {
		fmt.Fprintln(os.Stderr, "box:", err)
	}
	os.Exit(plan.StatusOf(command, err))
}
