// Package plan: a container is a list of system calls. A Plan is that list, composed as data
// before the process that makes the calls exists: spawn.go makes the process and replays the
// list in it, explain.go prints it in the notation of strace(1). What is about to become a
// container is not known here: the program adds its calls with Add, each as a method of its
// own that is named after the system call. Here are those that any list needs.
package plan

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Plan is the life of a process between clone3 and execve, or a list that the host performs.
type Plan struct {
	Clone cloneArgs // how the process is made: its new namespaces
	Calls []*Call

	before *Plan                       // what the host does before it makes the process
	held   []func(h *Plan, pid string) // what the host does at the first meeting
	ends   [2]int32                    // of the leash, a socket pair: the host's and the box's
	host   *Value
	box    *Value
	err    error // the first argument that no system call can take
	tty    terminal
}

// Call is one system call and its reason.
type Call struct {
	Name  string
	Ret   uintptr
	Errno unix.Errno

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

	stays func(child uintptr) // forks, and this is the rest of its maker's life
	again bool                // is repeated as long as it fails with EAGAIN, which then means no more than that

	done bool
	said string // instead of the error: what a program that the host ran had to say
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

// Later is a value that the host will know in time, and what stands for it until then.
func Later(name string) *Value { return &Value{name: name} }

// Set makes the value known.
func (v *Value) Set(n uintptr) { v.n, v.text = n, fmt.Sprint(n) }

// Arg is the value as an argument.
func (v *Value) Arg() Arg { return Arg{from: v} }

// New is an empty plan for a process, and the list of what the host does before it makes the
// process. The process is on a leash: a pair of sockets, each the other's end, on which host
// and process tell each other to go on (socketpair(2)).
func New() (process, host *Plan) {
	p := &Plan{before: &Plan{}, host: Later("HOST_END"), box: Later("BOX_END"), tty: openTerminal()}
	p.Clone.Flags, p.Clone.exitSignal = unix.CLONE_CLEAR_SIGHAND, uint64(unix.SIGCHLD)
	leash := p.before.Add("socketpair", unix.SYS_SOCKETPAIR, Sym(unix.AF_UNIX, "AF_UNIX"),
		Sym(unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, "SOCK_SEQPACKET|SOCK_CLOEXEC"), 0,
		Ptr(unsafe.Pointer(&p.ends), "[HOST_END, BOX_END]")).
		Why("a leash, on which host and box tell each other to go on")
	leash.Then(func() {
		p.host.Set(uintptr(p.ends[0]))
		p.box.Set(uintptr(p.ends[1]))
		leash.Retell(3, fmt.Sprintf("[%d, %d]", p.ends[0], p.ends[1]))
	})
	p.Close(p.host.Arg()).Why("the host's end is the host's alone: it closes when box dies")
	return p, p.before
}

// Add adds a system call: its name, its number and its arguments. An argument may be given
// as an Arg, or as what it stands for: a number, a string, nil for NULL.
func (p *Plan) Add(name string, nr uintptr, args ...any) *Call {
	c := &Call{Name: name, nr: nr, args: make([]Arg, len(args))}
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
		return Null
	}
	panic(fmt.Sprintf("plan: %T is no argument of a system call", v))
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

// Then has the host do something with what the call has brought, once it has succeeded.
func (c *Call) Then(do func()) *Call { c.then = do; return c }

// Retell writes an argument anew, when it is known what the kernel has put there.
func (c *Call) Retell(arg int, text string) { c.args[arg].text = text }

// Refuse stops the list after all: the call has worked, but what it brought is an error.
func (c *Call) Refuse(why string) {
	other := c.Ret + 1
	c.want, c.said = &other, why
}

// Result stands for what the call will return, as an argument of a later one.
func (c *Call) Result() Arg {
	if c.out == nil {
		c.out = Later(c.Name + "()")
	}
	return c.out.Arg()
}

// Close is close(2).
func (p *Plan) Close(fd Arg) *Call { return p.Add("close", unix.SYS_CLOSE, fd) }

// Write is write(2).
func (p *Plan) Write(fd Arg, data string) *Call {
	return p.Add("write", unix.SYS_WRITE, fd, data, len(data))
}

// WriteFile is openat(2), write(2) and close(2): how the files of /proc and /sys are set.
func (p *Plan) WriteFile(path, data string) *Call {
	fd := p.Add("openat", unix.SYS_OPENAT, Cwd, path, Sym(unix.O_WRONLY|unix.O_CLOEXEC, "O_WRONLY|O_CLOEXEC")).Result()
	c := p.Write(fd, data)
	p.Close(fd)
	return c
}

// Prctl is prctl(2) with one argument.
func (p *Plan) Prctl(option, arg Arg) *Call { return p.Add("prctl", unix.SYS_PRCTL, option, arg) }

// Leash ties the process to the host without a gap. The kernel shall kill it when its
// parent dies; then it meets the host, which proves that the parent had not died before
// that was said. At this meeting the host does what was put on hold.
func (p *Plan) Leash() {
	p.Prctl(Sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), Sym(uintptr(unix.SIGKILL), "SIGKILL")).
		Why("when box dies, the kernel kills this process")
	if p.tty.ours {
		p.takeTerminal()
	}
	p.meet()
}

// BoxEnd is the process's end of the leash: what it writes there wakes the host only if it
// is a meeting's byte, and fails when the host is gone.
func (p *Plan) BoxEnd() Arg { return p.box.Arg() }

// meet lets the process tell the host that it has come this far, and wait for its answer.
func (p *Plan) meet() *Call {
	p.Write(p.BoxEnd(), "b").Must(1).Why("tell the host: this far")
	c := p.Add("read", unix.SYS_READ, p.BoxEnd(), Ptr(unsafe.Pointer(new([1]byte)), `"g"`), 1).Must(1)
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
	host.Write(p.host.Arg(), "g").Why("go on")
	return host
}

// Execve is execve(2) of argv[0], which is looked for in the directories of path unless
// it holds a slash: inside, where the files are that count. Every descriptor but the
// three standard ones ends here, and no signal stays blocked.
func (p *Plan) Execve(argv, env []string, path string) {
	p.Add("close_range", unix.SYS_CLOSE_RANGE, 3, 1<<32-1, Sym(unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC")).
		Why("nothing that box has open goes along")
	file := p.Str(argv[0])
	if !strings.Contains(argv[0], "/") {
		file = p.search(argv[0], path)
	}
	p.Add("rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, Sym(sigSetmask, "SIG_SETMASK"), Ptr(unsafe.Pointer(new(uint64)), "[]"), nil, 8).
		Why("signals were held back until here")
	p.Add("execve", unix.SYS_EXECVE, file, p.strs(argv), p.strs(env)).
		Why("become the program").Look("ls -l /proc/PID/ns").
		Hint(unix.ENOENT, "no such file in the container; or it exists, and the interpreter that its first line or its ELF header names does not").
		Hint(unix.EACCES, "it is not executable, or a directory").
		Hint(unix.ENOEXEC, "neither a program for this machine's processor nor a script that begins with #!")
}

// search adds a faccessat(2) for each directory and stands for the first executable found.
func (p *Plan) search(name, path string) Arg {
	found := Later("FOUND")
	for _, dir := range strings.Split(path, ":") {
		c := p.Add("faccessat", unix.SYS_FACCESSAT, Cwd, dir+"/"+name, Sym(unix.X_OK, "X_OK"))
		c.try, c.out = true, found
		c.Why("is it here?").Hint(unix.ENOENT, name+" is in no directory of PATH="+path)
	}
	return found.Arg()
}

// Command has the host run a program to its end. It cannot be a step of a box.
func (p *Plan) Command(argv ...string) *Call {
	if path, err := exec.LookPath(argv[0]); err == nil {
		argv[0] = path
	}
	c := p.Add("execve", unix.SYS_EXECVE, argv[0], p.strs(argv), Arg{text: "environ"})
	c.run = argv
	return c
}

// Fail makes the list one that cannot be carried out, unless something has already.
func (p *Plan) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Perform makes the calls of a list in the host, and stops at the first that fails.
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

func (c *Call) perform() {
	if c.run != nil {
		out, err := exec.Command(c.run[0], c.run[1:]...).CombinedOutput()
		if c.done = true; err != nil {
			c.Errno, c.said = unix.EIO, strings.TrimSpace(string(out)+" ("+err.Error()+")")
		}
		return
	}
	var a [6]uintptr
	for i, arg := range c.args {
		a[i] = arg.Number()
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
	c.done, c.Ret, c.Errno = true, ret, errno
	switch {
	case c.out == nil || errno != 0:
	case c.try:
		c.out.text = c.args[1].text
	default:
		c.out.Set(ret)
	}
}

// StepError is a call that failed.
type StepError struct{ *Call }

// Error names the call, its arguments, the error and, where it is known, the cause.
func (e StepError) Error() string {
	text := e.Errno.Error()
	switch {
	case e.said != "":
		text = e.said
	case e.Errno == 0:
		text = fmt.Sprintf("returned %d instead of %d", e.Ret, *e.want)
	}
	text = e.brief() + ": " + text
	if hint := e.hints[e.Errno]; hint != "" {
		text += "\n     " + hint
	}
	return text
}

// Unwrap is the error number, for errors.Is.
func (e StepError) Unwrap() error { return e.Errno }

// AtExecve tells whether it is the step that was to become the program, or to find it.
func (e StepError) AtExecve() bool {
	return (e.Name == "execve" || e.Name == "faccessat") && e.run == nil
}

// Done tells whether the call was made.
func (c *Call) Done() bool { return c.done }

// failure is nil for a call that did what the list needs.
func (c *Call) failure() error {
	if c.Errno != 0 && c.Errno != c.fine || c.want != nil && c.Ret != *c.want {
		return StepError{c}
	}
	return nil
}

const sigSetmask = 2 // SIG_SETMASK, which x/sys/unix does not have

// Null is a pointer to nothing; Cwd stands for the current directory in openat(2) and the like.
var Null, Cwd = Arg{text: "NULL"}, Sym(^uintptr(99), "AT_FDCWD")

// Num is a number, written as such.
func Num(n int) Arg { return Arg{value: uintptr(n), text: fmt.Sprint(n)} }

// Sym is a number that the headers have a name for.
func Sym(v uintptr, text string) Arg { return Arg{value: v, text: text} }

// Ptr points to what the kernel reads or fills, in Go's memory.
func Ptr(p unsafe.Pointer, text string) Arg { return Arg{pointer: p, text: text} }

// IsSet is false for an Arg that nothing has been made of yet.
func (a Arg) IsSet() bool { return a != Arg{} }

// Number is what the kernel gets.
func (a Arg) Number() uintptr {
	switch {
	case a.pointer != nil:
		return uintptr(a.pointer)
	case a.from != nil:
		return a.from.n
	}
	return a.value
}

// Str is a copy of s that ends in a NUL byte. One that holds a NUL byte is an error of
// the whole plan, because the kernel would read a shorter string and say nothing.
func (p *Plan) Str(s string) Arg {
	b, err := syscall.BytePtrFromString(s)
	if err != nil {
		p.Fail(errors.New(Quote(s) + " holds a NUL byte, where the kernel ends a string: remove it"))
	}
	return Ptr(unsafe.Pointer(b), Quote(s))
}

// StrOrNull is Str, and NULL for an empty string.
func (p *Plan) StrOrNull(s string) Arg {
	if s == "" {
		return Null
	}
	return p.Str(s)
}

// strs is an array of strings that ends in NULL, as execve takes it.
func (p *Plan) strs(list []string) Arg {
	array, texts := make([]unsafe.Pointer, len(list)+1), make([]string, len(list))
	for i, s := range list {
		arg := p.Str(s)
		array[i], texts[i] = arg.pointer, arg.text
	}
	return Ptr(unsafe.Pointer(&array[0]), "["+strings.Join(texts, ", ")+"]")
}
