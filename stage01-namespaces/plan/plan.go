// Package plan composes the life of a process as a list of system calls, makes the process
// with clone3(2), and has it replay the list until execve(2).
//
// A Plan is the list. The package does not know what a container is: the program adds its
// calls with Add, each in a method of its own named after the system call. Only the calls
// that every list needs are here. Read plan.go for the list, call.go for one call,
// spawn.go for clone3 and the replay, explain.go for the narration in strace(1)'s notation,
// screen.go for how it looks on a terminal, outline.go for its short form, and signals.go for
// what happens while the process runs. Tolerate, Retry, ParentRuns, Then and Pending are for
// lists that are longer than the first program's.
package plan

import (
	"fmt"
	"os/exec"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Plan is the life of a process between clone3 and execve, or a list that the host performs.
type Plan struct {
	Clone cloneArgs // how clone3 makes the process: its new namespaces, its cgroup
	Calls []*Call

	before *Plan    // what the host does before it makes the process
	held   []held   // what the host does at the handshake
	ends   [2]int32 // of the sync socket pair: the host's and the process's
	host   *Value
	box    *Value
	topic  string // of the calls that are added: see Section
	err    error  // the first argument that no system call can take
	tty    terminal

	// Closed when the caller, who copies the output of the process, can no longer write it.
	Broken <-chan struct{}
}

// held is what the host does while the process waits.
type held = func(h *Plan, pid string)

// New returns an empty plan for a process, and the list of what the host does before it
// makes the process. The two are connected by a sync socket (socketpair(2)): one byte each
// way says "ready" and "go on".
func New() (process, host *Plan) {
	p := &Plan{before: &Plan{}, host: Pending("HOST_END"), box: Pending("BOX_END"),
		tty: openTerminal()}
	p.Section(making)
	p.Clone.Flags, p.Clone.exitSignal = unix.CLONE_CLEAR_SIGHAND, uint64(unix.SIGCHLD)
	pair := p.before.Add("socketpair", unix.SYS_SOCKETPAIR, Sym(unix.AF_UNIX, "AF_UNIX"),
		Sym(unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, "SOCK_SEQPACKET|SOCK_CLOEXEC"), 0,
		Ptr(unsafe.Pointer(&p.ends), "[HOST_END, BOX_END]")).
		Why("a sync socket: host and box signal each other to go on")
	pair.Then(func() {
		p.host.Set(uintptr(p.ends[0]))
		p.box.Set(uintptr(p.ends[1]))
		pair.SetText(3, fmt.Sprintf("[%d, %d]", p.ends[0], p.ends[1]))
	})
	p.Close(p.host.Arg()).Why("the host's end is the host's alone: it closes when the parent dies")
	return p, p.before
}

// Section begins a part of the list, for the narration: the calls that are added from here on,
// to this list and to what the host does before, are about the title. A word and a colon begin
// it: its name.
func (p *Plan) Section(title string) {
	p.topic = title
	if p.before != nil {
		p.before.topic = title
	}
}

// Add appends a system call: its name, its number and its arguments. An argument is an Arg,
// or a plain int, string or nil (NULL); any other type is a programming error, and panics.
func (p *Plan) Add(name string, nr uintptr, args ...any) *Call {
	c := &Call{Name: name, nr: nr, topic: p.topic, args: make([]Arg, len(args))}
	for i, arg := range args {
		c.args[i] = p.arg(arg)
	}
	p.Calls = append(p.Calls, c)
	return c
}

func (p *Plan) arg(v any) Arg {
	switch v := v.(type) {
	case Arg:
		return v
	case int:
		return Num(v)
	case string:
		return p.Str(v)
	case nil:
		return null
	}
	panic(fmt.Sprintf("plan: %T is not an argument of a system call", v))
}

// Close is close(2).
func (p *Plan) Close(fd Arg) *Call { return p.Add("close", unix.SYS_CLOSE, fd) }

// Write is write(2).
func (p *Plan) Write(fd Arg, data string) *Call {
	return p.Add("write", unix.SYS_WRITE, fd, data, len(data))
}

// WriteFile is openat(2), write(2) and close(2): how the files of /proc and /sys are set.
// It returns the write.
func (p *Plan) WriteFile(path, data string) *Call {
	fd := p.Add("openat", unix.SYS_OPENAT, Cwd, path,
		Sym(unix.O_WRONLY|unix.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")).Result()
	c := p.Write(fd, data)
	p.Close(fd)
	return c
}

// Prctl is prctl(2) with one argument.
func (p *Plan) Prctl(option, arg Arg) *Call { return p.Add("prctl", unix.SYS_PRCTL, option, arg) }

// Handshake ties the life of the process to the host's, without a gap. The kernel is told
// to kill the process when its parent dies; then the process waits for a byte from the host.
// If the parent has already died, the read gets end of file and the list stops. While the
// process waits, the host does what WhileHeld has added.
func (p *Plan) Handshake() {
	p.Section(handshake)
	p.Prctl(Sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), Sym(uintptr(unix.SIGKILL), "SIGKILL")).
		Why("when the parent dies, the kernel kills this process")
	if p.tty.ours {
		p.takeTerminal()
	}
	p.sync()
}

// SyncEnd is the process's end of the sync socket. A write to it fails when the host is
// gone; a byte other than the handshake's is ignored there.
func (p *Plan) SyncEnd() Arg { return p.box.Arg() }

// sync has the process tell the host that it is ready, and wait for its answer.
func (p *Plan) sync() *Call {
	p.Write(p.SyncEnd(), "b").Expect(1).Why("tell the host: ready")
	c := p.Add("read", unix.SYS_READ, p.SyncEnd(),
		Ptr(unsafe.Pointer(new([1]byte)), `"g"`), 1).Expect(1)
	c.syncs = true
	return c.Why("wait until the host says: go on")
}

// Sync has the process wait once more, after the handshake, while the host does what do adds.
func (p *Plan) Sync(do func(h *Plan, pid string)) { p.sync().held = []held{do} }

// Park has the process wait for a byte from fd. Start returns when it waits, and
// the host need not stay. The list is not narrated.
func (p *Plan) Park(fd Arg) *Call {
	p.Write(p.SyncEnd(), "b").Expect(1).Why("tell the host: ready")
	c := p.Add("read", unix.SYS_READ, fd, Ptr(unsafe.Pointer(new([1]byte)), `"g"`), 1).Expect(1)
	c.syncs, c.waitsForOther = true, true
	return c
}

// The sections that every list has.
const (
	making    = "process: a copy of box, and a socket to signal it"
	handshake = "handshake: the host does its part, and both go on"
)

// WhileHeld adds to what the host does at the handshake. do gets the pid as text, because
// it also serves a list that is printed and never performed.
func (p *Plan) WhileHeld(do func(h *Plan, pid string)) { p.held = append(p.held, do) }

// answer is what the host does at a sync point: what was held, unless the sync point is
// there for the narration only, and the byte that says go on.
func (p *Plan) answer(pid string, at *Call) *Plan {
	host := &Plan{topic: at.topic}
	for _, do := range p.heldAt(at) {
		do(host, pid)
	}
	host.topic = at.topic
	host.Write(p.host.Arg(), "g").Why("go on")
	return host
}

// heldAt is what the host does at a sync point.
func (p *Plan) heldAt(at *Call) []held {
	if at.gate || at.held != nil {
		return at.held
	}
	return p.held
}

// Execve is execve(2) of argv[0]. Unless it holds a slash, it is looked for in the
// directories of path, a list like PATH's, by the process itself: inside, where the files
// are that count. Every descriptor but the three standard ones is closed, and no signal
// stays blocked.
func (p *Plan) Execve(argv, env []string, path string) {
	p.Section("command: become the program")
	p.CloseFrom(3)
	file := p.Str(argv[0])
	if argv[0] != "" && !strings.Contains(argv[0], "/") { // "" is no such file, as in Docker
		file = p.Search(argv[0], path)
	}
	p.Become(file, argv, env)
}

// CloseFrom has execve close every descriptor from fd on.
func (p *Plan) CloseFrom(fd int) {
	p.Add("close_range", unix.SYS_CLOSE_RANGE, fd, 1<<32-1,
		Sym(unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC")).
		Why("close all other descriptors at execve")
}

// Become is the last part of Execve, for a list in which something comes before it.
func (p *Plan) Become(file Arg, argv, env []string) {
	p.Add("rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, Sym(sigSetmask, "SIG_SETMASK"),
		Ptr(unsafe.Pointer(new(uint64)), "[]"), nil, 8).
		Why("unblock the signals, blocked since clone3")
	p.Add("execve", unix.SYS_EXECVE, file, p.strs(argv), p.strs(env)).
		Why("become the program").Look("ls -l /proc/PID/ns").
		Hint(unix.ENOENT, "no such file in the container; or it exists, and the interpreter"+
			" that its first line or its ELF header names does not").
		Hint(unix.EACCES, "it is not executable, or a directory").
		Hint(unix.ENOEXEC, "neither a program for this machine's processor "+
			"nor a script that begins with #!")
}

// Search adds a faccessat(2) for each directory and returns the first executable found.
func (p *Plan) Search(name, path string) Arg {
	found := Pending("FOUND")
	for _, dir := range strings.Split(path, ":") {
		c := p.Add("faccessat", unix.SYS_FACCESSAT, Cwd, dir+"/"+name, Sym(unix.X_OK, "X_OK"))
		c.isCandidate, c.out = true, found
		c.Why("is it here?").Hint(unix.ENOENT, notFound(name, path))
	}
	return found.Arg()
}

// notFound also says what a first word that no program is called by was meant to be.
func notFound(name, path string) string {
	hint := name + " is in no directory of PATH=" + path
	if strings.HasPrefix(name, "-") {
		return hint + "; flags of box precede the program or the image"
	} else if strings.Contains(name, " ") {
		return hint + "; in quotes it is one word: without them, it is a program and its arguments"
	}
	return hint
}

// Command has the host run a program to its end. A process cannot do that between clone3
// and execve, so it belongs in a list of the host.
func (p *Plan) Command(argv ...string) *Call {
	if path, err := exec.LookPath(argv[0]); err == nil {
		argv[0] = path
	}
	c := p.Add("execve", unix.SYS_EXECVE, argv[0], p.strs(argv), Arg{text: "environ"})
	c.run = argv
	return c
}

// Fail records that the list cannot be carried out. Start, List and Perform return the
// first such error before anything is made.
func (p *Plan) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Perform makes the calls of a list in the host, and stops at the first that fails. n may
// be nil: then nothing is narrated.
func (p *Plan) Perform(n *Narration) error {
	for _, c := range p.Calls {
		if p.err != nil {
			return p.err
		}
		c.perform()
		n.tell("host", c)
		if err := c.failure(); err != nil {
			return err
		}
	}
	return nil
}

const sigSetmask = 2 // SIG_SETMASK, which x/sys/unix does not have
