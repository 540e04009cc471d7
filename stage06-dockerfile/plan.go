// A container is a list of system calls. A Plan is that list, composed as data before
// the process that makes the calls exists: spawn.go makes the process and replays the
// list in it, explain.go prints it in the notation of strace(1). Each method of Plan that
// is named after a system call adds that call; the others live beside what they are for.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Plan is the life of a process between clone3 and execve, or a list that the host performs.
type Plan struct {
	before *Plan     // what the host does before it makes the process
	clone  cloneArgs // how the process is made: its new namespaces
	calls  []*Call
	held   []func(h *Plan, pid string) // what the host does at the first meeting
	ends   [2]int32                    // of the leash, a socket pair: the host's and the box's
	host   *Value
	box    *Value
	err    error // the first argument that no system call can take
	tty    terminal

	console *console

	stdio  [3]int              // what becomes the process's standard files; 0 leaves one as it is
	screen *os.File            // where what its terminal shows goes, if not to standard output
	born   func(pid int) error // called when it has become its program
}

// Call is one system call and its reason.
type Call struct {
	name  string
	nr    uintptr
	args  []Arg
	why   string
	look  string                // what to see before it from a second terminal; PID is the process
	hints map[unix.Errno]string // what an error usually means here
	out   *Value                // where later calls find the result
	want  *uintptr              // the one result with which the list goes on
	try   bool                  // one of several places to look in: a failure moves on to the next
	forks bool                  // makes the process that replays the rest
	meets bool                  // waits for the host
	gate  bool                  // waits for the narration's sake only
	run   []string              // instead of a call: a program that the host runs
	then  func()                // what the host takes from its success
	fine  unix.Errno            // an error that is as good as success

	reigns bool // forks, and stays as PID 1
	again  bool // is repeated as long as it fails with EAGAIN, which then means no more than that

	done  bool
	ret   uintptr
	errno unix.Errno
	said  string // what a program that the host ran had to say
}

// Arg is one argument: what the kernel gets, and how strace writes it.
type Arg struct {
	value   uintptr
	pointer unsafe.Pointer // instead; keeps alive what it points to
	from    *Value         // instead: the result of an earlier call
	text    string
}

// Value is what an earlier call will have returned.
type Value struct {
	name string // stands for it until it is known
	text string
	n    uintptr
}

func (v *Value) set(n uintptr) { v.n, v.text = n, fmt.Sprint(n) }

// newPlan is an empty plan for a process, on a leash: a pair of sockets, each the other's
// end, on which host and process tell each other to go on (socketpair(2)).
func newPlan() *Plan {
	p := &Plan{before: &Plan{}, host: &Value{name: "HOST_END"}, box: &Value{name: "BOX_END"}, tty: openTerminal()}
	p.screen, p.born = os.Stdout, func(int) error { return nil }
	p.clone.flags, p.clone.exitSignal = unix.CLONE_CLEAR_SIGHAND, uint64(unix.SIGCHLD)
	leash := p.before.add("socketpair", unix.SYS_SOCKETPAIR, sym(unix.AF_UNIX, "AF_UNIX"),
		sym(unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, "SOCK_SEQPACKET|SOCK_CLOEXEC"), num(0),
		ptr(unsafe.Pointer(&p.ends), "[HOST_END, BOX_END]")).
		Why("a leash, on which host and box tell each other to go on")
	leash.then = func() {
		p.host.set(uintptr(p.ends[0]))
		p.box.set(uintptr(p.ends[1]))
		leash.args[3].text = fmt.Sprintf("[%d, %d]", p.ends[0], p.ends[1])
	}
	p.Close(Arg{from: p.host}).Why("the host's end is the host's alone: it closes when box dies")
	return p
}

func (p *Plan) add(name string, nr uintptr, args ...Arg) *Call {
	c := &Call{name: name, nr: nr, args: args}
	p.calls = append(p.calls, c)
	return c
}

// Why says what the call is for.
func (c *Call) Why(reason string) *Call { c.why = reason; return c }

// Look says what a second terminal can look at before the call.
func (c *Call) Look(command string) *Call { c.look = command; return c }

// Hint says what an error means here, and what to do.
func (c *Call) Hint(errno unix.Errno, advice string) *Call {
	if c.hints == nil {
		c.hints = map[unix.Errno]string{}
	}
	c.hints[errno] = advice
	return c
}

// Unless lets the list go on after this error.
func (c *Call) Unless(errno unix.Errno) *Call { c.fine = errno; return c }

// Again repeats the call for as long as the kernel asks for that (EAGAIN): openat2(2) does
// when something is renamed while it looks, bpf(2) when a signal comes, as Go's scheduler
// sends them.
func (c *Call) Again() *Call { c.again = true; return c }

// Must stops the list when the call returns anything but n.
func (c *Call) Must(n uintptr) *Call { c.want = &n; return c }

// Result stands for what the call will return, as an argument of a later one.
func (c *Call) Result() Arg {
	if c.out == nil {
		c.out = &Value{name: c.name + "()"}
	}
	return Arg{from: c.out}
}

// Close is close(2).
func (p *Plan) Close(fd Arg) *Call { return p.add("close", unix.SYS_CLOSE, fd) }

// Write is write(2).
func (p *Plan) Write(fd Arg, data string) *Call {
	return p.add("write", unix.SYS_WRITE, fd, p.str(data), num(len(data)))
}

// WriteFile is openat(2), write(2) and close(2): how the files of /proc and /sys are set.
func (p *Plan) WriteFile(path, data string) *Call {
	fd := p.add("openat", unix.SYS_OPENAT, cwd, p.str(path), sym(unix.O_WRONLY|unix.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")).Result()
	c := p.Write(fd, data)
	p.Close(fd)
	return c
}

// Prctl is prctl(2) with one argument.
func (p *Plan) Prctl(option, arg Arg) *Call { return p.add("prctl", unix.SYS_PRCTL, option, arg) }

// Leash ties the process to the host without a gap. The kernel shall kill it when its
// parent dies; then it meets the host, which proves that the parent had not died before
// that was said. At this meeting the host does what was put on hold.
func (p *Plan) Leash() {
	p.Prctl(sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), sym(uintptr(unix.SIGKILL), "SIGKILL")).
		Why("when box dies, the kernel kills this process")
	if p.tty.ours {
		p.takeTerminal()
	}
	p.meet()
}

// meet lets the process tell the host that it has come this far, and wait for its answer.
func (p *Plan) meet() *Call {
	box := Arg{from: p.box}
	p.Write(box, "b").Must(1).Why("tell the host: this far")
	c := p.add("read", unix.SYS_READ, box, ptr(unsafe.Pointer(new([1]byte)), `"g"`), num(1)).Must(1)
	c.meets = true
	return c.Why("wait until the host says: go on")
}

// WhileHeld adds to what the host does at the first meeting. do gets the pid as text,
// because it also serves a list that is printed and never performed.
func (p *Plan) WhileHeld(do func(h *Plan, pid string)) { p.held = append(p.held, do) }

// answer is what the host does at a meeting: what was held, unless the meeting is for the
// narration's sake, and the byte that says go on.
func (p *Plan) answer(pid string, gate bool) *Plan {
	host := &Plan{}
	for _, do := range p.held {
		if !gate {
			do(host, pid)
		}
	}
	host.Write(Arg{from: p.host}, "g").Why("go on")
	return host
}

// Execve is execve(2) of argv[0], which is looked for in the directories of path unless
// it holds a slash: inside, where the files are that count. Every descriptor but the
// three standard ones ends here, and no signal stays blocked.
func (p *Plan) Execve(argv, env []string, path string) {
	p.add("close_range", unix.SYS_CLOSE_RANGE, num(3), num(1<<32-1), sym(unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC")).
		Why("nothing that box has open goes along")
	file := p.str(argv[0])
	if !strings.Contains(argv[0], "/") {
		file = p.search(argv[0], path)
	}
	p.add("rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, sym(sigSetmask, "SIG_SETMASK"), ptr(unsafe.Pointer(new(uint64)), "[]"), null, num(8)).
		Why("signals were held back until here")
	p.add("execve", unix.SYS_EXECVE, file, p.strs(argv), p.strs(env)).
		Why("become the program").Look("ls -l /proc/PID/ns").
		Hint(unix.ENOENT, "no such file in the container; or it exists, and the interpreter that its first line or its ELF header names does not").
		Hint(unix.EACCES, "it is not executable, or a directory").
		Hint(unix.ENOEXEC, "neither a program for this machine's processor nor a script that begins with #!")
}

// search adds a faccessat(2) for each directory and stands for the first executable found.
func (p *Plan) search(name, path string) Arg {
	found := &Value{name: "FOUND"}
	for _, dir := range strings.Split(path, ":") {
		c := p.add("faccessat", unix.SYS_FACCESSAT, cwd, p.str(dir+"/"+name), sym(unix.X_OK, "X_OK"))
		c.try, c.out = true, found
		c.Why("is it here?").Hint(unix.ENOENT, name+" is in no directory of PATH="+path)
	}
	return Arg{from: found}
}

// Command has the host run a program to its end. It cannot be a step of a box.
func (p *Plan) Command(argv ...string) *Call {
	if path, err := exec.LookPath(argv[0]); err == nil {
		argv[0] = path
	}
	c := p.add("execve", unix.SYS_EXECVE, p.str(argv[0]), p.strs(argv), Arg{text: "environ"})
	c.run = argv
	return c
}

// perform makes the calls of a list in the host, and stops at the first that fails.
func (p *Plan) perform(n *Narration) error {
	for _, c := range p.calls {
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

func (c *Call) perform() {
	if c.run != nil {
		out, err := exec.Command(c.run[0], c.run[1:]...).CombinedOutput()
		if c.done = true; err != nil {
			c.errno, c.said = unix.EIO, strings.TrimSpace(string(out)+" ("+err.Error()+")")
		}
		return
	}
	var a [6]uintptr
	for i, arg := range c.args {
		a[i] = arg.number()
	}
	r, _, errno := syscall.Syscall6(c.nr, a[0], a[1], a[2], a[3], a[4], a[5])
	for errno == unix.EAGAIN && c.again {
		r, _, errno = syscall.Syscall6(c.nr, a[0], a[1], a[2], a[3], a[4], a[5])
	}
	if c.finish(r, errno); errno == 0 && c.then != nil {
		c.then()
	}
}

// finish notes what came of the call. A search yields the path that it found.
func (c *Call) finish(ret uintptr, errno unix.Errno) {
	c.done, c.ret, c.errno = true, ret, errno
	switch {
	case c.out == nil || errno != 0:
	case c.try:
		c.out.text = c.args[1].text
	default:
		c.out.set(ret)
	}
}

// StepError is a call that failed.
type StepError struct{ *Call }

// Error names the call, its arguments, the error and, where it is known, the cause.
func (e StepError) Error() string {
	text := e.errno.Error()
	switch {
	case e.said != "":
		text = e.said
	case e.errno == 0:
		text = fmt.Sprintf("returned %d instead of %d", e.ret, *e.want)
	}
	text = e.brief() + ": " + text
	if hint := e.hints[e.errno]; hint != "" {
		text += "\n     " + hint
	}
	return text
}

// Unwrap is the error number, for errors.Is.
func (e StepError) Unwrap() error { return e.errno }

// failure is nil for a call that did what the list needs.
func (c *Call) failure() error {
	if c.errno != 0 && c.errno != c.fine || c.want != nil && c.ret != *c.want {
		return StepError{c}
	}
	return nil
}

const sigSetmask = 2 // SIG_SETMASK, which x/sys/unix does not have

var null, cwd = Arg{text: "NULL"}, sym(^uintptr(99), "AT_FDCWD")

func num(n int) Arg                         { return Arg{value: uintptr(n), text: fmt.Sprint(n)} }
func sym(v uintptr, text string) Arg        { return Arg{value: v, text: text} }
func ptr(p unsafe.Pointer, text string) Arg { return Arg{pointer: p, text: text} }

func (a Arg) number() uintptr {
	switch {
	case a.pointer != nil:
		return uintptr(a.pointer)
	case a.from != nil:
		return a.from.n
	}
	return a.value
}

// str is a copy of s that ends in a NUL byte. One that holds a NUL byte is an error of
// the whole plan, because the kernel would read a shorter string and say nothing.
func (p *Plan) str(s string) Arg {
	b, err := syscall.BytePtrFromString(s)
	if err != nil && p.err == nil {
		p.err = errors.New(quote(s) + " holds a NUL byte, where the kernel ends a string: remove it")
	}
	return ptr(unsafe.Pointer(b), quote(s))
}

func (p *Plan) strOrNull(s string) Arg {
	if s == "" {
		return null
	}
	return p.str(s)
}

// strs is an array of strings that ends in NULL, as execve takes it.
func (p *Plan) strs(list []string) Arg {
	array, texts := make([]unsafe.Pointer, len(list)+1), make([]string, len(list))
	for i, s := range list {
		arg := p.str(s)
		array[i], texts[i] = arg.pointer, arg.text
	}
	return ptr(unsafe.Pointer(&array[0]), "["+strings.Join(texts, ", ")+"]")
}
