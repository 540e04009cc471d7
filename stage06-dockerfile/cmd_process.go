// The flags about the program: its user, its directory, its environment and its terminal.

package main

import (
	"fmt"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/envfile"
)

// ProcessOptions are the flags about the program's user, directory and environment.
type ProcessOptions struct {
	User    string   `short:"u" help:"Who runs the command, by the container's own passwd and group." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"The directory that it starts in." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"A variable; NAME alone takes the caller's value." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`
	EnvFile []string `help:"A file of such lines." placeholder:"FILE" sep:"none" group:"Program:"`
	Init    bool     `help:"Have a small PID 1 above the command, which passes signals on and waits for orphans." group:"Program:"`

	GroupAdd []string `help:"A further group of the user's, by the container's own group file." placeholder:"NAME|GID" sep:"none" group:"Program:"`
}

// environment is what the program knows. TERM is xterm at a terminal of its own, which
// images know, whatever the caller's is. An empty HOME is the user's home, as in Docker.
func (c *Container) environment(home string) ([]string, error) {
	env := environment(c.Hostname)
	if c.Rootfs != "" {
		env = []string{"PATH=" + defaultPath, "HOSTNAME=" + c.Hostname, "HOME=" + home}
		if c.TTY {
			env = append(env, "TERM=xterm")
		}
		if c.output != nil { // a step of a build: it must not depend on a name
			env = slices.Delete(env, 1, 2)
		}
	}
	lines, err := envfile.ReadAll(c.EnvFile)
	if err != nil {
		return nil, err
	}
	env = envfile.Set(env, lines)
	for _, variable := range c.Env {
		if name, _, _ := strings.Cut(variable, "="); name == "" {
			return nil, fmt.Errorf("--env %s: give NAME=VALUE", variable)
		}
	}
	env = envfile.Set(env, c.Env)
	isHome := func(v string) bool { return strings.HasPrefix(v, "HOME=") && v != "HOME=" }
	if !slices.ContainsFunc(env, isHome) {
		env = envfile.Set(env, []string{"HOME=" + home})
	}
	return env, nil
}

// Terminal says how the container is talked to.
type Terminal struct {
	Interactive bool `short:"i" help:"Pass on standard input. Without --tty, a container of --rootfs always has it." group:"Terminal:"`
	TTY         bool `short:"t" name:"tty" help:"A terminal of the container's own." group:"Terminal:"`
}
