// box exec runs a command as a user of the container, in a directory and with variables of its own.
// Each of these flags replaces a value that the container was run with.

package main

// ExecOptions are the flags for the user, the directory and the environment of the command.
type ExecOptions struct {
	User    string   `short:"u" help:"Who runs the command, by the container's own passwd and group; else its own user." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"The directory that it starts in." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"A variable more; NAME alone takes the caller's value." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`

	EnvFile    []string `help:"A file with a variable a line." placeholder:"FILE" sep:"none" group:"Program:"`
	Privileged bool     `help:"Give it all capabilities, whatever the container has." group:"Program:"`
}
