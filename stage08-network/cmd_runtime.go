// box runtime: the command line of an OCI runtime, as runc has it. Engines call it to make a
// container of a bundle, and to do something with it later. bundle.go and process.go have what it
// makes; the states of the containers are files, a directory each, which package runtimestate
// keeps.

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage03-rootfs/pty"
	"stagebox/stage04-unionfs/signals"
	"stagebox/stage05-images/runtimespec"
	"stagebox/stage05-images/runtimestate"
)

type runtimeCmd struct {
	Create   runtimeCreateCmd   `cmd:"" help:"Make a container of a bundle; its program waits for start."`
	Start    runtimeStartCmd    `cmd:"" help:"Let the program of a created container begin."`
	State    runtimeStateCmd    `cmd:"" help:"Print the state of a container as JSON."`
	Kill     runtimeKillCmd     `cmd:"" help:"Send a signal to a container."`
	Delete   runtimeDeleteCmd   `cmd:"" help:"Remove what is left of a container."`
	Run      runtimeRunCmd      `cmd:"" help:"Make a container of a bundle, and start it."`
	Exec     runtimeExecCmd     `cmd:"" help:"Run another process in a container."`
	Ps       runtimePsCmd       `cmd:"" help:"List the processes of a container."`
	Pause    runtimePauseCmd    `cmd:"" help:"Stop all processes of a container."`
	Resume   runtimeResumeCmd   `cmd:"" help:"Let them go on."`
	List     runtimeListCmd     `cmd:"" help:"List the containers."`
	Features runtimeFeaturesCmd `cmd:"" help:"Print what config.json may ask for, as JSON."`
	Version  runtimeVersionCmd  `cmd:"" help:"Print the version, and that of the specification (--version, as engines ask)."`
}

// runtimeOptions are the flags that runc has before the command.
type runtimeOptions struct {
	Root          string `help:"Where the states of containers are." placeholder:"DIR"`
	Log           string `help:"A file to which errors and warnings are written too." placeholder:"FILE"`
	LogFormat     string `help:"text or json." enum:"text,json" default:"text"`
	Debug         bool   `hidden:""`
	SystemdCgroup bool   `help:"Not supported: box makes cgroups itself."`
	Rootless      string `hidden:""`
}

// runtimeArgs puts runc's flags after the command, where box has them. They are nil if neither
// the program's name nor its first word is that of an OCI runtime.
func runtimeArgs(args []string) []string {
	rest := args[1:]
	if filepath.Base(args[0]) != "runc" {
		if len(rest) == 0 || rest[0] != "runtime" {
			return nil
		}
		rest = rest[1:]
	}
	if len(rest) > 0 && (rest[0] == "--version" || rest[0] == "-v") {
		rest = []string{"version"}
	}
	var flags []string
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		takesValue := slices.Contains([]string{"--root", "--log", "--log-format", "--rootless", "--criu"}, rest[0])
		n := 1
		if takesValue && len(rest) > 1 {
			n = 2
		}
		flags, rest = append(flags, rest[:n]...), rest[n:]
	}
	if len(rest) == 0 {
		return append([]string{"runtime"}, flags...)
	}
	return slices.Concat([]string{"runtime", rest[0]}, flags, rest[1:])
}

// states is where the states are.
func (o *runtimeOptions) states() runtimestate.Store {
	if o.Root != "" {
		return runtimestate.Store(o.Root)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); os.Geteuid() != 0 && dir != "" {
		return runtimestate.Store(filepath.Join(dir, "stagebox"))
	}
	return "/run/stagebox"
}

// note writes to --log.
func (o *runtimeOptions) note(level, text string) {
	runtimestate.Log(o.Log, o.LogFormat, level, text)
}

// logged does what a command does, and writes its error to --log too.
func (o *runtimeOptions) logged(do func() error) error {
	err := errors.New("--systemd-cgroup: not supported: box makes cgroups itself; " +
		"have the engine use the cgroupfs driver")
	if !o.SystemdCgroup {
		err = do()
	}
	var ended plan.ExitStatus
	if err != nil && !errors.As(err, &ended) {
		o.note("error", err.Error())
	}
	return err
}

// bundleOptions are the flags of create and run.
type bundleOptions struct {
	Bundle        string `short:"b" help:"The directory that holds config.json." default:"." placeholder:"DIR"`
	PidFile       string `help:"A file for the number of the process." placeholder:"FILE"`
	ConsoleSocket string `help:"A socket to which the master of the container's terminal is sent." placeholder:"SOCKET"`
	PreserveFds   int    `help:"Pass on so many descriptors after the three standard ones." placeholder:"N"`
	NoPivot       bool   `hidden:""`
	NoNewKeyring  bool   `hidden:""`
	NoSubreaper   bool   `hidden:""`

	runtimeOptions
}

// creation is a container that is being made.
type creation struct {
	*bundleOptions
	*bundle
	state *runtimestate.State
	p     *Plan
}

// prepare reads the bundle and composes the plan. waits says whether start comes later.
func (o *bundleOptions) prepare(id string, waits, dryRun bool) (*creation, error) {
	if o.NoPivot {
		return nil, errors.New("--no-pivot: not supported: a root that is only changed can be left")
	}
	dir, err := filepath.Abs(o.Bundle)
	if err != nil {
		return nil, err
	}
	spec, err := runtimespec.Load(dir)
	if err != nil {
		return nil, err
	}
	if err := o.checkConsole(spec.Process.Terminal, waits); err != nil {
		return nil, err
	}
	c := &creation{bundleOptions: o, p: newPlan()}
	c.bundle = &bundle{Spec: spec, dir: dir, id: id, keep: o.PreserveFds,
		warn: func(text string) { o.note("warning", text) }}
	c.bundle.hook, c.isDry = c.runHook, dryRun
	if err := c.kinds(); err != nil {
		return nil, err
	}
	if !dryRun {
		if err := c.guard(); err != nil {
			return nil, err
		}
		c.state, err = o.states().Create(id, dir, spec)
		if err == nil && waits {
			c.fifo, err = c.state.MakeFIFO()
		}
	}
	if err != nil {
		return nil, err
	}
	if !o.NoNewKeyring {
		const join = 1 // KEYCTL_JOIN_SESSION_KEYRING
		c.p.Add("keyctl", unix.SYS_KEYCTL, plan.Sym(join, "KEYCTL_JOIN_SESSION_KEYRING"), "_ses."+id).
			Tolerate(unix.ENOSYS).Why("no key of the caller's")
	}
	if err := c.compose(c.p); err != nil {
		return nil, c.undo(err)
	}
	return c, nil
}

// checkConsole holds the terminal against the socket for it.
func (o *bundleOptions) checkConsole(terminal, waits bool) error {
	switch {
	case terminal && waits && o.ConsoleSocket == "":
		return errors.New("process.terminal: cannot allocate a terminal without --console-socket, " +
			"as box does not stay to hold it")
	case !terminal && o.ConsoleSocket != "":
		return errors.New("--console-socket: process.terminal is false, so there is no terminal to send")
	}
	return nil
}

// undo removes what a container that was not made has left.
func (c *creation) undo(err error) error {
	if c.state == nil {
		return err
	}
	c.noteGroups()
	return errors.Join(err, c.remove())
}

// remove removes the container's cgroups with what still runs in them, and its state.
func (c *creation) remove() (err error) {
	for _, dir := range c.state.Groups {
		err = errors.Join(err, removeGroup(dir))
	}
	return errors.Join(err, c.state.Remove())
}

// noteGroups notes the container's cgroups, which go with it.
func (c *creation) noteGroups() {
	if c.group == nil {
		return
	}
	c.state.Groups = nil
	for _, in := range c.group.parents {
		c.state.Groups = append(c.state.Groups, filepath.Join(in.dir, c.group.name))
	}
}

// launch makes the process, and sends its terminal's master on.
func (c *creation) launch(n *plan.Narration) (*plan.Process, error) {
	process, err := n.Start(c.p.Plan)
	if err == nil {
		c.noteGroups()
		err = c.state.Started(process.PID)
	}
	if err == nil && c.ConsoleSocket != "" {
		err = sendConsole(c.p.console, c.ConsoleSocket)
	}
	if err == nil && c.PidFile != "" {
		err = runtimestate.WritePID(c.PidFile, process.PID)
	}
	if err != nil && process != nil && process.PID != 0 {
		unix.Kill(process.PID, unix.SIGKILL)
	}
	return process, err
}

// sendConsole passes the master of a terminal on to who asked for it.
func sendConsole(c *console, socket string) error {
	master, err := pty.Receive(c.ends)
	if err != nil {
		return err
	}
	defer master.Close()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("--console-socket: %w", err)
	}
	defer conn.Close()
	_, _, err = conn.WriteMsgUnix([]byte("/dev/ptmx"), unix.UnixRights(int(master.Fd())), nil)
	return err
}

type runtimeCreateCmd struct {
	ID string `arg:"" name:"container" help:"Its name."`

	bundleOptions
}

// Run is `box runtime create`.
func (c *runtimeCreateCmd) Run() error {
	return c.logged(func() error {
		made, err := c.prepare(c.ID, true, false)
		if err != nil {
			return err
		}
		if _, err := made.launch(&plan.Narration{}); err != nil {
			return made.undo(err)
		}
		return nil
	})
}

type runtimeRunCmd struct {
	ID     string `arg:"" name:"container" help:"Its name."`
	Detach bool   `short:"d" help:"Leave it running."`
	Keep   bool   `help:"Keep its state when it has ended."`

	bundleOptions

	plan.Narration
}

// Run is `box runtime run`.
func (c *runtimeRunCmd) Run() error { return c.logged(c.run) }

func (c *runtimeRunCmd) run() error {
	made, err := c.prepare(c.ID, false, c.DryRun)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.List(made.p.Plan)
	}
	if c.Detach && made.Process.Terminal && c.ConsoleSocket == "" {
		return made.undo(made.checkConsole(true, true))
	}
	process, err := made.launch(&c.Narration)
	if err != nil {
		return made.undo(err)
	}
	if err := made.poststart(); err != nil {
		return made.undo(err)
	}
	if c.Detach {
		return nil
	}
	end := func() {}
	if made.Process.Terminal && c.ConsoleSocket == "" {
		made.p.console.Terminal = pty.Terminal{Output: os.Stdout, Typed: true}
		if end, err = made.p.console.serve(); err != nil {
			return made.undo(err)
		}
	}
	err = process.Wait()
	end()
	if !c.Keep {
		err = errors.Join(made.remove(), err)
		made.runHooks("poststop")
	}
	return err
}

// find is the container that a command names.
func (o *runtimeOptions) find(id string) (*runtimestate.State, error) {
	s, err := o.states().Find(id)
	if err == nil {
		notePause(s)
	}
	return s, err
}

// notePause looks whether the container is paused.
func notePause(s *runtimestate.State) {
	stopped := cgroupfs.Number(filepath.Join(s.GroupWith("cgroup.freeze"), "cgroup.freeze")) == 1
	if s.Status != specs.StateStopped && stopped {
		s.Status = runtimestate.Paused
	}
}

// processes are the numbers of all processes of a container.
func processes(s *runtimestate.State) []int {
	for _, dir := range s.Groups {
		if list := cgroupfs.Numbers(dir, "cgroup.procs"); len(list) > 0 {
			slices.Sort(list)
			return list
		}
	}
	return []int{}
}

// again is a container that was made before, for what happens to it later.
func again(o *runtimeOptions, s *runtimestate.State) (*creation, error) {
	spec, err := runtimespec.Load(s.Dir)
	if err != nil {
		return nil, err
	}
	c := &creation{bundleOptions: &bundleOptions{runtimeOptions: *o}, state: s}
	c.bundle = &bundle{Spec: spec, dir: s.Bundle, id: s.ID,
		warn: func(text string) { o.note("warning", text) }}
	return c, nil
}

type runtimeStartCmd struct {
	ID string `arg:"" name:"container" help:"The container."`

	runtimeOptions
}

// Run is `box runtime start`.
func (c *runtimeStartCmd) Run() error {
	return c.logged(func() error {
		s, err := c.find(c.ID)
		if err != nil {
			return err
		}
		switch s.Status {
		case specs.StateStopped:
			return errors.New("cannot start a container that has stopped")
		case specs.StateCreated:
		default:
			return errors.New("cannot start an already running container")
		}
		made, err := again(&c.runtimeOptions, s)
		if err != nil {
			return err
		}
		if len(made.Hooks.StartContainer) > 0 {
			if err := seal(); err != nil {
				return err
			}
		}
		for _, hook := range made.Hooks.StartContainer {
			if err := made.runHook("startContainer", hook, strconv.Itoa(s.Pid)); err != nil {
				unix.Kill(s.Pid, unix.SIGKILL)
				return err
			}
		}
		if err := s.Start(); err != nil {
			return err
		}
		return made.poststart()
	})
}

type runtimeStateCmd struct {
	ID string `arg:"" name:"container" help:"The container."`

	runtimeOptions
}

// Run is `box runtime state`.
func (c *runtimeStateCmd) Run() error {
	return c.logged(func() error {
		s, err := c.find(c.ID)
		if err != nil {
			return err
		}
		return printJSON(s.Shown())
	})
}

func printJSON(value any) error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

type runtimeKillCmd struct {
	ID     string `arg:"" name:"container" help:"The container."`
	Signal string `arg:"" name:"signal" optional:"" default:"TERM" help:"A signal's name or number."`
	All    bool   `short:"a" help:"Send it to all processes of the container."`

	runtimeOptions
}

// Run is `box runtime kill`.
func (c *runtimeKillCmd) Run() error {
	return c.logged(func() error {
		signal, err := signals.Parse(c.Signal)
		if err != nil {
			return err
		}
		s, err := c.find(c.ID)
		if err != nil {
			return err
		}
		if c.All {
			for _, pid := range processes(s) {
				unix.Kill(pid, signal)
			}
			return nil
		}
		if s.Status == specs.StateStopped {
			return errors.New("container not running")
		}
		return unix.Kill(s.Pid, signal)
	})
}

type runtimeDeleteCmd struct {
	ID    string `arg:"" name:"container" help:"The container."`
	Force bool   `short:"f" help:"Kill it first if it runs; a container that does not exist is no error."`

	runtimeOptions
}

// Run is `box runtime delete`.
func (c *runtimeDeleteCmd) Run() error {
	return c.logged(func() error {
		s, err := c.find(c.ID)
		if errors.Is(err, runtimestate.ErrMissing) && c.Force {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Status != specs.StateStopped && !c.Force {
			return fmt.Errorf("cannot delete container %s that is not stopped: %s", c.ID, s.Status)
		}
		made, err := again(&c.runtimeOptions, s)
		if err != nil { // its config.json is damaged, and it has to go all the same
			made = &creation{bundle: &bundle{Spec: &specs.Spec{Hooks: &specs.Hooks{}}}, state: s}
		}
		if s.Status == runtimestate.Paused {
			freezeIn(s.GroupWith("cgroup.freeze"), false)
		}
		s.Kill()
		err = made.remove()
		made.runHooks("poststop")
		return err
	})
}

type runtimePauseCmd struct {
	ID string `arg:"" name:"container" help:"The container."`

	runtimeOptions
}

// Run is `box runtime pause`.
func (c *runtimePauseCmd) Run() error {
	return c.logged(func() error { return c.freeze(c.ID, true) })
}

type runtimeResumeCmd struct {
	ID string `arg:"" name:"container" help:"The container."`

	runtimeOptions
}

// Run is `box runtime resume`.
func (c *runtimeResumeCmd) Run() error {
	return c.logged(func() error { return c.freeze(c.ID, false) })
}

func (o *runtimeOptions) freeze(id string, stop bool) error {
	s, err := o.find(id)
	switch {
	case err != nil:
		return err
	case stop && s.Status != specs.StateRunning && s.Status != specs.StateCreated:
		return fmt.Errorf("container not running: it is %s", s.Status)
	case !stop && s.Status != runtimestate.Paused:
		return errors.New("container not paused")
	case s.GroupWith("cgroup.freeze") == "":
		return errors.New("pause needs a cgroup tree of version 2; " +
			"it may be mounted beside version 1: mount -t cgroup2 none DIR")
	}
	return freezeIn(s.GroupWith("cgroup.freeze"), stop)
}

type runtimeListCmd struct {
	Format string `short:"f" help:"table or json." enum:"table,json" default:"table"`
	Quiet  bool   `short:"q" help:"Names alone."`

	runtimeOptions
}

// Run is `box runtime list`.
func (c *runtimeListCmd) Run() error {
	return c.logged(func() error {
		list, err := c.states().All()
		for _, s := range list {
			notePause(s)
		}
		if c.Format == "json" {
			shown := []runtimestate.Shown{}
			for _, s := range list {
				shown = append(shown, s.Shown())
			}
			return errors.Join(printJSON(shown), err)
		}
		if !c.Quiet {
			fmt.Printf("%-20s %-8s %-10s %-30s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED")
		}
		for _, s := range list {
			if c.Quiet {
				fmt.Println(s.ID)
				continue
			}
			fmt.Printf("%-20s %-8d %-10s %-30s %s\n", s.ID, s.Shown().Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339))
		}
		return err
	})
}

type runtimePsCmd struct {
	ID     string   `arg:"" name:"container" help:"The container."`
	Args   []string `arg:"" optional:"" passthrough:"" help:"Arguments for ps."`
	Format string   `short:"f" help:"table or json." enum:"table,json" default:"table"`

	runtimeOptions
}

// Run is `box runtime ps`.
func (c *runtimePsCmd) Run() error {
	return c.logged(func() error {
		s, err := c.find(c.ID)
		if err != nil {
			return err
		}
		pids := processes(s)
		if c.Format == "json" {
			return json.NewEncoder(os.Stdout).Encode(pids)
		}
		words := make([]string, len(pids))
		for i, pid := range pids {
			words[i] = strconv.Itoa(pid)
		}
		args := c.Args
		if len(args) == 0 {
			args = []string{"-f"}
		}
		ps := exec.Command("ps", append(args, "-p", strings.Join(words, ","))...)
		ps.Stdout, ps.Stderr = os.Stdout, os.Stderr
		return ps.Run()
	})
}

type runtimeFeaturesCmd struct{ runtimeOptions }

// Run is `box runtime features`.
func (c *runtimeFeaturesCmd) Run() error {
	var namespaces []string
	for _, k := range kinds {
		name := map[string]string{"mnt": "mount", "net": "network"}[k.name]
		namespaces = append(namespaces, cmp.Or(name, k.name))
	}
	return printJSON(runtimespec.Features(namespaces, capability.All.Names()))
}

type runtimeVersionCmd struct{ runtimeOptions }

// Run is `box runtime --version`, in the lines that engines read.
func (c *runtimeVersionCmd) Run() error {
	_, err := fmt.Printf("box version %s\nspec: %s\ngo: %s\n", version, specs.Version, runtime.Version())
	return err
}

type runtimeExecCmd struct {
	ID            string   `arg:"" name:"container" help:"The container."`
	Args          Argv     `arg:"" name:"command" optional:"" passthrough:"partial" help:"The command, if --process names no file."`
	Process       string   `short:"p" help:"A file with the process of the specification, as JSON." placeholder:"FILE"`
	PidFile       string   `help:"A file for the number of the process." placeholder:"FILE"`
	ConsoleSocket string   `help:"A socket to which the master of its terminal is sent." placeholder:"SOCKET"`
	PreserveFds   int      `help:"Pass on so many descriptors after the three standard ones." placeholder:"N"`
	Detach        bool     `short:"d" help:"Leave it running."`
	TTY           bool     `short:"t" name:"tty" help:"A terminal of its own."`
	User          string   `short:"u" help:"Another user." placeholder:"UID[:GID]"`
	Cwd           string   `help:"Another directory." placeholder:"DIR"`
	Env           []string `short:"e" help:"A further variable." placeholder:"NAME=VALUE" sep:"none"`

	runtimeOptions
}

// Run is `box runtime exec`.
func (c *runtimeExecCmd) Run() error { return c.logged(c.exec) }

func (c *runtimeExecCmd) exec() error {
	s, err := c.find(c.ID)
	if err != nil {
		return err
	}
	switch s.Status {
	case specs.StateStopped:
		return errors.New("cannot exec in a stopped container")
	case runtimestate.Paused:
		return errors.New("cannot exec in a paused container: resume it first")
	}
	made, err := again(&c.runtimeOptions, s)
	if err != nil {
		return err
	}
	process, err := c.process(made.Spec.Process)
	if err != nil {
		return err
	}
	if err := seal(); err != nil {
		return err
	}
	made.keep, made.PidFile, made.ConsoleSocket = c.PreserveFds, c.PidFile, c.ConsoleSocket
	if err := made.checkConsole(process.Terminal, c.Detach); err != nil {
		return err
	}
	return made.exec(s.Pid, process, c.Detach)
}

// process is what to run: a file's, or the container's own with another command.
func (c *runtimeExecCmd) process(own *specs.Process) (*specs.Process, error) {
	process := *own
	if c.Process != "" {
		data, err := os.ReadFile(c.Process)
		process = specs.Process{}
		if err == nil {
			err = json.Unmarshal(data, &process)
		}
		if err != nil {
			return nil, fmt.Errorf("--process: %w", err)
		}
		return &process, runtimespec.CheckProcess(&process)
	}
	process.Args, process.Terminal = c.Args.argv(), c.TTY
	process.Cwd = cmp.Or(c.Cwd, process.Cwd)
	process.Env = append(slices.Clone(process.Env), c.Env...)
	uid, gid, both := strings.Cut(c.User, ":")
	for _, id := range []struct {
		text string
		into *uint32
	}{{uid, &process.User.UID}, {gid, &process.User.GID}} {
		if c.User == "" || id.text == "" && !both {
			continue
		}
		n, err := passwd.ParseID(id.text)
		if err != nil {
			return nil, fmt.Errorf("--user: %w", err)
		}
		*id.into = uint32(n)
	}
	return &process, runtimespec.CheckProcess(&process)
}

// exec brings a process into the container.
func (c *creation) exec(pid int, process *specs.Process, detach bool) error {
	p, err := c.join(pid, process)
	if err != nil {
		return err
	}
	started, err := (&plan.Narration{}).Start(p.Plan)
	if err != nil {
		return err
	}
	if c.ConsoleSocket != "" {
		err = sendConsole(p.console, c.ConsoleSocket)
	}
	if err == nil && c.PidFile != "" {
		err = runtimestate.WritePID(c.PidFile, started.PID)
	}
	if err != nil || detach {
		return err
	}
	end := func() {}
	if process.Terminal && c.ConsoleSocket == "" {
		p.console.Terminal = pty.Terminal{Output: os.Stdout, Typed: true}
		if end, err = p.console.serve(); err != nil {
			return err
		}
	}
	defer end()
	return started.Wait()
}

// join plans a process that exec brings into the namespaces and the cgroup of another.
func (c *creation) join(pid int, process *specs.Process) (*Plan, error) {
	p := newPlan()
	p.DetachTerminal()
	c.newRoot = &newRoot{Container: &Container{Files: Files{Rootfs: "/"}}, Plan: p}
	if c.TTY = process.Terminal; c.TTY {
		p.console = &console{opened: func(*os.File) {}}
	}
	flags, err := foreign(pid)
	if err != nil {
		return nil, err
	}
	pidfd := p.before.PidfdOpen(pid).Result()
	if err := joinGroup(pid, p); err != nil {
		return nil, err
	}
	p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), plan.Sym(0, "SUID_DUMP_DISABLE")).
		Why("no process inside may look into this one or change it")
	p.Setns(pidfd, flags).Why("into all its namespaces at once")
	p.Fork(unix.CLONE_PARENT).Why("only a child is inside the PID namespace")
	p.Handshake()
	if flags&unix.CLONE_NEWUSER != 0 {
		p.Setresid(0, 0)
	}
	if c.TTY {
		p.openPair(plan.Cwd, "/dev/ptmx", int(process.User.UID))
	}
	if c.input != nil {
		p.Dup3(plan.Num(int(c.input.Fd())), 0, false)
	}
	file, err := c.restrict(process)
	p.Become(file, process.Args, process.Env)
	return p, err
}

// poststart runs those hooks, and stops the container if one fails.
func (c *creation) poststart() error {
	for _, hook := range c.Hooks.Poststart {
		if err := c.runHook("poststart", hook, strconv.Itoa(c.state.Pid)); err != nil {
			unix.Kill(c.state.Pid, unix.SIGKILL)
			return err
		}
	}
	return nil
}

// runHooks runs hooks whose failure changes nothing.
func (c *creation) runHooks(kind string) {
	for _, hook := range runtimespec.Hooks(c.Hooks, kind) {
		if err := c.runHook(kind, hook, strconv.Itoa(c.state.Pid)); err != nil {
			c.note("warning", err.Error())
		}
	}
}

// statuses are what a container is called while hooks of a kind run.
var statuses = map[string]specs.ContainerState{"startContainer": specs.StateCreated,
	"poststart": specs.StateRunning, "poststop": specs.StateStopped}

// runHook runs a hook, with the state on its standard input: those of the container in its
// namespaces, the others here.
func (c *creation) runHook(kind string, hook specs.Hook, pid string) error {
	number, _ := strconv.Atoi(pid)
	shown := specs.State{Version: specs.Version, ID: c.id, Bundle: c.dir, Annotations: c.Annotations,
		Status: cmp.Or(statuses[kind], specs.StateCreating)}
	if kind != "poststop" {
		shown.Pid = number
	}
	input, err := runtimestate.Input(shown)
	if err != nil {
		return err
	}
	defer input.Close()
	switch kind {
	case "createContainer":
		err = hookInside(hook, number, input)
	case "startContainer":
		err = c.hookAsProcess(hook, number, input)
	default:
		err = runtimestate.RunHook(hook, c.dir, input)
	}
	if err != nil { // an exit status of a hook is none of the container
		return fmt.Errorf("hook %s %s: %v", kind, hook.Path, err)
	}
	return nil
}

// hookAsProcess runs a hook that is a program of the container's, with no more rights than the
// container's own process.
func (c *creation) hookAsProcess(hook specs.Hook, pid int, input *os.File) error {
	process := *c.Spec.Process
	process.Terminal, process.Env, process.Args = false, hook.Env, []string{hook.Path}
	if len(hook.Args) > 1 {
		process.Args = append(process.Args, hook.Args[1:]...)
	}
	once := &creation{bundleOptions: c.bundleOptions, state: c.state}
	once.bundle = &bundle{Spec: c.Spec, dir: c.dir, id: c.id, warn: c.warn, input: input}
	p, err := once.join(pid, &process)
	if err != nil {
		return err
	}
	return runToEnd(p, hook)
}

// hookInside runs a hook, a program of the host's, in the namespaces of a process.
func hookInside(hook specs.Hook, pid int, input *os.File) error {
	flags, err := foreign(pid)
	if err != nil {
		return err
	}
	p := newPlan()
	p.DetachTerminal()
	pidfd := p.before.PidfdOpen(pid).Result()
	p.Setns(pidfd, flags)
	p.Fork(unix.CLONE_PARENT)
	p.Handshake()
	p.Dup3(plan.Num(int(input.Fd())), 0, false)
	p.CloseFrom(3)
	p.Become(p.Str(hook.Path), hook.Args, hook.Env)
	return runToEnd(p, hook)
}

// runToEnd runs the process of a hook to its end, or until its time is up.
func runToEnd(p *Plan, hook specs.Hook) error {
	runtime.LockOSThread()
	process, err := (&plan.Narration{}).Start(p.Plan)
	if err != nil {
		return err
	}
	if hook.Timeout != nil {
		limit := time.Duration(*hook.Timeout) * time.Second
		defer time.AfterFunc(limit, func() { unix.Kill(process.PID, unix.SIGKILL) }).Stop()
	}
	var ended plan.ExitStatus
	if err := process.Wait(); !errors.As(err, &ended) || ended != 0 {
		return err
	}
	return nil
}
