// A Call is one system call of a list: what the kernel gets, how strace(1) would write it,
// why it is made, and what came of it.

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

// Call is one system call and its reason. Ret and Errno are its result, once Done.
type Call struct {
	Name  string
	Ret   uintptr
	Errno unix.Errno

	nr            uintptr
	args          []Arg
	topic         string // the section of the list
	why           string
	look          string                // a command for a second terminal; PID is the process
	hints         map[unix.Errno]string // what an error most likely means here
	out           *Value                // where later calls find the result
	want          *uintptr              // the one result with which the list goes on
	tolerated     unix.Errno            // an error that does not stop the list
	retry         bool                  // is made again while it fails with EAGAIN
	isCandidate   bool                  // one of several places: a failure moves on to the next
	forks         bool                  // makes the process that replays the rest
	before        func()                // what the process does first
	parent        func(child uintptr)   // forks too, and this is what its maker does afterwards
	syncs         bool                  // waits for the host
	waitsForOther bool                  // waits for another process; the host need not stay
	held          []held                // what the host does meanwhile
	gate          bool                  // waits so that --explain can print
	stop          bool                  // --pause stops before it
	run           []string              // instead of a call: a program that the host runs
	runner        func() error          // how it runs it, if not by exec
	then          func()                // what the host does after its success

	done    bool
	message string // what an error says instead of Errno: a program's output, or the text of wrong
	wrong   error  // why the call's success was rejected
}

// Why says what the call is for.
func (c *Call) Why(reason string) *Call { c.why = reason; return c }

// Look names a command to run in a second terminal before the call; PID is the process.
func (c *Call) Look(command string) *Call { c.look = command; return c }

// Hint says what an error means here, and what to do.
func (c *Call) Hint(errno unix.Errno, advice string) *Call {
	if c.hints == nil {
		c.hints = map[unix.Errno]string{}
	}
	c.hints[errno] = advice
	return c
}

// AnyError is what Tolerate takes for a call after whose failure, whatever it is, the list goes on.
const AnyError = ^unix.Errno(0)

// Tolerate lets the list go on after this error.
func (c *Call) Tolerate(errno unix.Errno) *Call { c.tolerated = errno; return c }

// Retry makes the call again for as long as it fails with EAGAIN: openat2(2) does when
// something is renamed during the lookup, bpf(2) when a signal arrives, as Go's scheduler
// sends them.
func (c *Call) Retry() *Call { c.retry = true; return c }

// Expect stops the list when the call returns anything but n.
func (c *Call) Expect(n uintptr) *Call { c.want = &n; return c }

// Then has the host call do after the call has succeeded.
func (c *Call) Then(do func()) *Call { c.then = do; return c }

// ParentRuns makes the call a fork whose parent stays: parent is the rest of its life,
// while the child replays the list to its end. parent must not return, and runs where the
// replay runs: raw system calls only, no allocation, no lock, and go:nosplit, go:norace
// and go:nocheckptr on it and on all that it calls.
func (c *Call) ParentRuns(parent func(child uintptr)) *Call { c.parent = parent; return c }

// Before has the process run do just before it makes the call, for what is not a system call. As
// with ParentRuns, do runs where the replay runs.
func (c *Call) Before(do func()) *Call { c.before = do; return c }

// SetText replaces how an argument is written, once it is known what the kernel put there.
func (c *Call) SetText(arg int, text string) { c.args[arg].text, c.args[arg].say = text, nil }

// Reject stops the list although the call has succeeded: why says what is wrong with its
// result, and is found by errors.Is. It is for Then.
func (c *Call) Reject(why error) {
	other := c.Ret + 1
	c.want, c.message, c.wrong = &other, why.Error(), why
}

// Result is what the call will return, as an argument of a later one.
func (c *Call) Result() Arg {
	if c.out == nil {
		c.out = Pending(c.Name + "()")
	}
	return c.out.Arg()
}

// Done reports whether the call was made.
func (c *Call) Done() bool { return c.done }

// perform makes the call in the host.
func (c *Call) perform() {
	if c.run != nil {
		c.runProgram()
		return
	}
	var a [6]uintptr
	for i, arg := range c.args {
		a[i] = arg.Number()
	}
	r, _, errno := syscall.Syscall6(c.nr, a[0], a[1], a[2], a[3], a[4], a[5])
	for errno == unix.EAGAIN && c.retry {
		r, _, errno = syscall.Syscall6(c.nr, a[0], a[1], a[2], a[3], a[4], a[5])
	}
	if c.finish(r, errno); errno == 0 && c.then != nil {
		c.then()
	}
}

// RunBy has do run the program of a Command, one that gets input, say, or is in other
// namespaces.
func (c *Call) RunBy(do func() error) *Call { c.runner = do; return c }

func (c *Call) runProgram() {
	if c.runner != nil {
		if c.done, c.wrong = true, c.runner(); c.wrong != nil {
			c.Errno, c.message = unix.EIO, c.wrong.Error()
		}
		return
	}
	out, err := exec.Command(c.run[0], c.run[1:]...).CombinedOutput()
	if c.done = true; err != nil {
		c.Errno, c.message = unix.EIO, strings.TrimSpace(string(out)+" ("+err.Error()+")")
	}
}

// finish records the result. The result of a search is the path that it found.
func (c *Call) finish(ret uintptr, errno unix.Errno) {
	c.done, c.Ret, c.Errno = true, ret, errno
	switch {
	case c.out == nil || errno != 0:
	case c.isCandidate:
		c.out.text = c.args[1].String()
	default:
		c.out.Set(ret)
	}
}

// failure is nil for a call that did what the list needs.
func (c *Call) failure() error {
	if c.Errno != 0 && c.Errno != c.tolerated && c.tolerated != AnyError || c.want != nil && c.Ret != *c.want {
		return StepError{c}
	}
	return nil
}

// StepError is a call that failed.
type StepError struct{ *Call }

// Error names the call, its arguments, the error and, where it is known, the cause.
func (e StepError) Error() string {
	text := e.Errno.Error()
	switch {
	case e.message != "":
		text = e.message
	case e.Errno == 0:
		text = fmt.Sprintf("returned %d instead of %d", e.Ret, *e.want)
	}
	text = e.brief() + ": " + text
	if hint := e.hints[e.Errno]; hint != "" {
		text += "\n     " + hint
	}
	return text
}

// Unwrap is the error number, or why the call was rejected, for errors.Is.
func (e StepError) Unwrap() error {
	if e.wrong != nil {
		return e.wrong
	}
	return e.Errno
}

// AtExecve reports whether the process failed to become its program, or to find it.
func (e StepError) AtExecve() bool {
	return (e.Name == "execve" || e.Name == "faccessat") && e.run == nil
}

// Arg is one argument: what the kernel gets, and how strace writes it. Most runs are not narrated,
// so what takes time to write is written when it is asked for.
type Arg struct {
	value    uintptr
	pointer  unsafe.Pointer // instead; keeps alive what it points to
	from     *Value         // instead: the result of an earlier call
	text     string
	say      func() string // instead of text
	isNumber bool          // its text is the value
}

// Cwd is the current directory in openat(2) and its like.
var Cwd = Sym(^uintptr(99), "AT_FDCWD")

// null is the NULL pointer.
var null = Arg{text: "NULL"}

// Num is a number, written in decimal.
func Num(n int) Arg { return Arg{value: uintptr(n), isNumber: true} }

// Sym is a number with the name that the C headers give it.
func Sym(v uintptr, text string) Arg { return Arg{value: v, text: text} }

// Ptr points to what the kernel reads or fills, in Go's memory.
func Ptr(p unsafe.Pointer, text string) Arg { return Arg{pointer: p, text: text} }

// Str is a copy of s that ends in a NUL byte. An s that holds a NUL byte is an error of the
// whole plan, because the kernel would read a shorter string without a word.
func (p *Plan) Str(s string) Arg {
	b, err := syscall.BytePtrFromString(s)
	if err != nil {
		p.Fail(errors.New(Quote(s) +
			" holds a NUL byte, where the kernel ends a string: remove it"))
	}
	return Arg{pointer: unsafe.Pointer(b), say: func() string { return Quote(s) }}
}

// StrOrNull is Str, and NULL for an empty string.
func (p *Plan) StrOrNull(s string) Arg {
	if s == "" {
		return null
	}
	return p.Str(s)
}

// strs is an array of strings that ends in NULL, as execve takes it.
func (p *Plan) strs(list []string) Arg {
	array := make([]unsafe.Pointer, len(list)+1)
	for i, s := range list {
		array[i] = p.Str(s).pointer
	}
	return Arg{pointer: unsafe.Pointer(&array[0]), say: func() string {
		texts := make([]string, len(list))
		for i, s := range list {
			texts[i] = Quote(s)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}}
}

// IsSet reports whether the Arg is not the zero Arg.
func (a Arg) IsSet() bool {
	return a.value != 0 || a.pointer != nil || a.from != nil || a.text != "" || a.isNumber
}

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

// String is the argument in the notation of strace(1).
func (a Arg) String() string {
	switch {
	case a.from != nil:
		return a.from.String()
	case a.say != nil:
		return a.say()
	case a.isNumber:
		return fmt.Sprint(int(a.value))
	}
	return a.text
}

// Value is the result of an earlier call.
type Value struct {
	name  string // written in its place until it is known
	text  string // if it is not a number
	n     uintptr
	known bool
	slot  int // in the list that is replayed
}

// Pending is a value that is not known yet; name is written in its place until Set.
func Pending(name string) *Value { return &Value{name: name} }

// Set makes the value known.
func (v *Value) Set(n uintptr) { v.n, v.known = n, true }

func (v *Value) String() string {
	switch {
	case v.text != "":
		return v.text
	case v.known:
		return fmt.Sprint(v.n)
	}
	return v.name
}

// Arg is the value as an argument.
func (v *Value) Arg() Arg { return Arg{from: v} }
