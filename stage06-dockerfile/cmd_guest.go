// Flags of box exec for the user, the directory and the variables of the command.
package main

// ExecOptions says who the command is.
type ExecOptions struct {
	User    string   `short:"u" help:"Who runs the command, by the container's own passwd and group; else its own user." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"The directory that it starts in." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"A variable more; NAME alone takes the caller's value." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`
}
