// box exec runs a command as a user of the container, in a directory and with variables of its own.
// Each of these flags replaces a value that the container was run with.

package main

// ExecOptions are the flags for the user, the directory and the environment of the command.
type ExecOptions struct {
	User    string   `short:"u" help:"User to run the command as, looked up in the container's /etc/passwd and /etc/group (default: the container's user)." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"Working directory of the command." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"Set an additional environment variable; NAME alone copies it from the caller." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`

	EnvFile    []string `help:"Read environment variables from a file, one per line." placeholder:"FILE" sep:"none" group:"Program:"`
	Privileged bool     `help:"Give the command all capabilities, whatever the container has." group:"Program:"`
}
