// The flags about the program: its user, its directory, its environment and its terminal.

package main

import (
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/envfile"
)

// ProcessOptions are the flags about the program's user, directory and environment.
type ProcessOptions struct {
	User    string   `short:"u" help:"User to run the command as, looked up in the container's /etc/passwd and /etc/group." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"Working directory of the command." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"Set an environment variable; NAME alone copies it from the caller." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`
	EnvFile []string `help:"Read environment variables from a file, one per line." placeholder:"FILE" sep:"none" group:"Program:"`
	Init    bool     `help:"Run a small init as PID 1, which forwards signals and reaps orphans." group:"Program:"`

	GroupAdd []string `help:"Add a supplementary group, looked up in the container's /etc/group." placeholder:"NAME|GID" sep:"none" group:"Program:"`
}

// environment is what the program knows. TERM is xterm at a terminal of its own, which
// images know, whatever the caller's is. An empty HOME is the user's home, as in Docker.
func (c *Container) environment(home string) ([]string, error) {
	env := environment(c.Hostname)
	if c.Rootfs != "" {
		env = []string{"PATH=" + plan.DefaultPath, "HOSTNAME=" + c.Hostname, "HOME=" + home}
		if c.TTY {
			env = append(env, "TERM=xterm")
		}
	}
	lines, err := envfile.ReadAll(c.EnvFile)
	if err != nil {
		return nil, err
	}
	return envfile.Complete(envfile.Set(env, lines), c.Env, home)
}

// Terminal says how the container is talked to.
type Terminal struct {
	Interactive bool `short:"i" help:"Connect standard input. Without --tty, a container of --rootfs always has it." group:"Terminal:"`
	TTY         bool `short:"t" name:"tty" help:"Allocate a terminal for the container." group:"Terminal:"`
}
