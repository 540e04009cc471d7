// RUN: a container on the layers so far, whose upper directory becomes the next one. It is the
// container of box run, except that its output is the step's, and that the mount points that
// box had to create are removed from the layer again. The --mount flags are in buildmounts.go.

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage01-namespaces/subid"
	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/configure"
	"stagebox/stage06-dockerfile/dockerfile"
	"stagebox/stage06-dockerfile/stubs"
)

// run is RUN.
func (s *stageBuild) run(in *dockerfile.Instruction) error {
	dirs, err := s.dirs()
	if err != nil {
		return err
	}
	c := &Container{Isolation: Isolation{Hostname: "buildkitsandbox"}, Store: s.b.Store}
	c.Rootfs, c.Layer, c.Rm = dirs[0], dirs[1:], !s.b.Keep
	c.Env, c.User, c.Workdir = s.runEnv(), s.config.Config.User, s.config.Config.WorkingDir
	c.ShmSize, c.Ulimit = s.b.ShmSize, s.b.Ulimit
	if err := s.permissions(c, in); err != nil {
		return err
	}
	m := &stepMounts{s: s, c: c, in: in}
	defer m.remove()
	if c.Command, err = m.command(); err != nil {
		return err
	}
	if err := m.add(); err != nil {
		return err
	}
	missing, err := s.missing(c)
	if err != nil {
		return err
	}
	build := s.b.Store.path("images/partial", "layer-"+ids.New()[:12])
	c.takeLayer = func(upper string) error {
		c.Rm = true // only a failed one is kept
		return os.Rename(upper, build)
	}
	if err = s.inContainer(c, in); err == nil {
		err = stubs.Remove(build, missing)
	}
	if err != nil {
		return errors.Join(err, s.b.Store.layers().Drop(build))
	}
	return s.adopt(in, build)
}

// networkOf returns the network of an instruction: its own, or that of the build.
func (b *builder) networkOf(in *dockerfile.Instruction) string {
	if network := in.Flag("network"); network != "" && network != "default" {
		return network
	}
	return b.Network
}

// permissions grants the rights that an instruction asks for. The caller of the build must allow
// them: the Dockerfile may be a stranger's.
func (s *stageBuild) permissions(c *Container, in *dockerfile.Instruction) error {
	if device := in.RequiredDevice(); device != "" {
		return in.ErrorAt("--device", "--device=%s: it is required, and RUN has no devices"+
			" but those of every container", device)
	}
	network := s.b.networkOf(in)
	if network == "host" {
		c.Share = []string{"net"}
	}
	if network == "host" && s.b.Network != "host" && !slices.Contains(s.b.Allow, "network.host") {
		return in.ErrorAt("--network",
			"--network=host: not allowed; use box build --allow network.host")
	}
	if in.Flag("security") == "insecure" {
		if !slices.Contains(s.b.Allow, "security.insecure") {
			return in.ErrorAt("--security",
				"--security=insecure: not allowed; use box build --allow security.insecure")
		}
		c.Privileged = true
	}
	return nil
}

// script returns the command of RUN. A here-document alone is the script.
func (s *stageBuild) script(in *dockerfile.Instruction) []string {
	if in.JSON {
		return in.Args
	}
	return append(configure.Shell(s.config.Config), in.ShellCommand())
}

// runEnv returns the environment of RUN: the image's variables, and over them the arguments.
func (s *stageBuild) runEnv() []string {
	env := dockerfile.ProxyEnv(s.b.args)
	env = append(env, envfile.WithValues(s.config.Config.Env)...)
	for _, name := range slices.Sorted(maps.Keys(s.args)) {
		env = append(env, name+"="+s.args[name])
	}
	return env
}

// inContainer runs the container. A status other than 0 is an error.
func (s *stageBuild) inContainer(c *Container, in *dockerfile.Instruction) error {
	out, err := s.shown.Output()
	if err != nil {
		return err
	}
	defer out.Close()
	if c.input, err = os.Open(os.DevNull); err != nil {
		return err
	}
	defer c.input.Close()
	c.output, c.Name = out.File, "step-"+ids.New()[:12]
	over := make(chan struct{})
	go s.killWhenInterrupted(c.Name, over)
	err = c.Run()
	close(over)
	if s.b.ctx.Err() != nil {
		return errors.New("the build was interrupted")
	}
	if err == plan.ExitStatus(0) {
		return nil
	}
	var ended plan.ExitStatus
	if !errors.As(err, &ended) || ended == 0 { // box has failed, not the command
		return err
	}
	out.Close()
	advice := s.adviceOnUsers()
	if s.b.Keep {
		advice += fmt.Sprintf("; its container was kept:"+
			" box commit %s seen && box run --rm -it seen sh", c.record.Name)
	}
	return in.ErrorAt("", "%s ended with exit status %d%s", in.Name, int(ended), advice)
}

// adviceOnUsers explains an error that the kernel may have returned because root is the only
// user inside.
func (s *stageBuild) adviceOnUsers() string {
	if os.Geteuid() == 0 || subid.HasMany() ||
		!s.shown.Printed(unix.EPERM.Error(), unix.EINVAL.Error()) {
		return ""
	}
	return "; if it needs a user other than root: install newuidmap (package uidmap)," +
		" and have root add a line for you to /etc/subuid and /etc/subgid"
}

// killWhenInterrupted ends the step's container with the build. The signal that interrupts the
// build does not: PID 1 ignores every signal without a handler, and a shell has none.
func (s *stageBuild) killWhenInterrupted(name string, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-s.b.ctx.Done():
	}
	for {
		if r, err := s.b.Store.find(name); err == nil && r.signal(unix.SIGKILL) == nil {
			return
		}
		select {
		case <-over:
			return
		case <-time.After(5 * time.Millisecond): // it has not begun yet
		}
	}
}

// missing returns the mount points that the layers do not have, the deepest first.
func (s *stageBuild) missing(c *Container) ([]string, error) {
	u, err := union.Open(c.topFirst())
	if err != nil {
		return nil, err
	}
	defer u.Close()
	binds, err := c.binds()
	var targets []string
	for _, b := range binds {
		targets = append(targets, b.Target)
	}
	return stubs.Missing(u, targets...), err
}
