// Box builds images, runs containers with a network, and does so for the clients of Docker's API.
//
// This stage adds server.go and router.go; handlers_life.go, handlers_exec.go and job.go, which do
// what a request asks for; attach.go and events.go. The other handlers, the verbs and their flags
// are in the files cmd_*.go.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"stagebox/stage01-namespaces/flags"
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/registrycli"
	"stagebox/stage05-images/runtimecli"
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
	{"network", "Manage networks.", &networkCmd{}},
	{"port", "List the published ports of a container.", &portCmd{}},
	{"volume", "Manage volumes.", &volumeCmd{}},
	{"create", "Create a container without starting it.", &createCmd{}},
	{"restart", "Restart containers.", &restartCmd{}},
	{"attach", "Connect to a running container's input and output.", &attachCmd{}},
	{"pull", "Pull an image from a registry.", &pullCmd{}},
	{"push", "Push an image to a registry.", &pushCmd{}},
	{"login", "Log in to a registry.", &registrycli.Login{}},
	{"logout", "Log out from a registry.", &registrycli.Logout{}},
	{"search", "Search a registry for images.", &registrycli.Search{}},
	{"images", "List images.", &imagesCmd{}},
	{"tag", "Give an image an additional name.", &tagCmd{}},
	{"rmi", "Remove images.", &rmiCmd{}},
	{"image", "Manage images.", &imageCmd{}},
	{"history", "Show the steps that made an image and the size of each.", &historyCmd{}},
	{"save", "Save images to an archive.", &saveCmd{}},
	{"load", "Load images from an archive.", &loadCmd{}},
	{"import", "Create an image from an archive of files.", &importCmd{}},
	{"completion", "Generate a completion script for a shell.", &completionCmd{}},
	{"build", "Build an image from a Dockerfile.", &buildCmd{}},
	{"builder", "Manage the build cache.", &builderCmd{}},
	{"system", "Manage the store.", &systemCmd{}},
	{"inside", "", &insideCmd{}},
	{"runtime", "Create containers from OCI bundles, as runc does.", &runtimeCmd{}},
	{"bundle", "Write an OCI bundle of an image: its files and a config.json.", &bundleCmd{}},
	{"daemon", "Serve the Docker Engine API; box -H ADDRESS COMMAND asks a daemon.", &daemonCmd{}},
}

func main() {
	rootFirst()
	hostFirst()
	args := runtimecli.Args(os.Args)
	if len(args) == 0 {
		args = []string{"--help"}
	} else if args[0] == "--version" {
		args[0] = "version"
	}
	run, err := commandLine().Read(args)
	if err != nil {
		exit("run", fault.Invalid.Wrap(err)) // 125, whichever the command is, as in Docker
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
			"run [flags] <image>", "run [flags] <image> [<command> [<arg> ...]]",
			"create [flags] <image>", "create [flags] <image> [<command> [<arg> ...]]",
		}}
}

// exit ends box after a command. An error is printed, unless it is only how the program ended.
func exit(command string, err error) {
	if err != nil && !errors.As(err, new(plan.ExitStatus)) {
		fmt.Fprintln(os.Stderr, "box:", err)
		fmt.Fprint(os.Stderr, state.Advice(err), fault.Mark(err))
	}
	os.Exit(plan.StatusOf(command, err))
}
