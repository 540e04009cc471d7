// clone3(2) makes the process; the process replays its Plan with raw system calls and
// ends in execve(2). Between the two it is a copy of a Go program that has one thread
// where the runtime expects several, so nothing of the runtime may run in it: no
// allocation, no lock, no growing stack. Therefore the list is turned into numbers
// beforehand, and the results come back through memory shared with the host.

package plan

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/nofile"
)

// cloneArgs is struct clone_args of clone3(2). A program sets Flags, and Cgroup with
// CLONE_INTO_CGROUP.
type cloneArgs struct {
	Flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize uint64
	tls, setTID, setTIDSize, Cgroup                                 uint64
}

// CloneFlags are the flags of clone(2), clone3(2), unshare(2) and setns(2).
var CloneFlags = []Flag{
	{unix.CLONE_PIDFD, "CLONE_PIDFD"}, {unix.CLONE_PARENT, "CLONE_PARENT"},
	{unix.CLONE_NEWTIME, "CLONE_NEWTIME"}, {unix.CLONE_NEWNS, "CLONE_NEWNS"},
	{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
	{unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, {unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{unix.CLONE_NEWPID, "CLONE_NEWPID"}, {unix.CLONE_NEWNET, "CLONE_NEWNET"},
	{unix.CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"},
	{unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
}

// cloneCall is clone3(2) as a call. Arguments that are zero are not printed.
func cloneCall(args *cloneArgs) *Call {
	say := func() string {
		text := "{flags=" + Bits(args.Flags, CloneFlags).String()
		if args.exitSignal != 0 {
			text += ", exit_signal=SIGCHLD"
		}
		if args.Cgroup != 0 {
			text += fmt.Sprintf(", cgroup=%d", args.Cgroup)
		}
		return text + "}"
	}
	size := unsafe.Sizeof(*args)
	call := &Call{Name: "clone3", nr: unix.SYS_CLONE3, topic: making,
		args: []Arg{{pointer: unsafe.Pointer(args), say: say}, Num(int(size))}}
	return call.Why("a copy of box that replays the rest").
		Hint(unix.EPERM, "root may make namespaces, an ordinary user only together with a user "+
			"namespace, if sysctl\n     kernel.unprivileged_userns_clone is 1 and "+
			"kernel.apparmor_restrict_unprivileged_userns is 0, where they exist").
		Hint(unix.ENOSPC, "a limit on namespaces is reached: "+
			"see sysctl user.max_user_namespaces and its neighbours").
		Hint(unix.EINVAL, "the kernel has no namespace of one of these kinds; "+
			"leave it out with --share").
		Hint(unix.ENOSYS, "this kernel is older than 5.5, "+
			"or a seccomp filter around box forbids clone3")
}

// Fork is clone3(2) in the middle of a list: the child replays the rest, and its parent
// ends.
func (p *Plan) Fork(flags uint64) *Call {
	c := cloneCall(&cloneArgs{Flags: flags})
	c.forks, c.topic = true, p.topic
	p.Calls = append(p.Calls, c)
	return c
}

// step is a Call as numbers. A slot is a place for a result; slot 0 is never read.
type step struct {
	nr             uintptr
	args           [6]uintptr
	from           [6]int // the slot to take the argument from, or 0
	into           int    // the slot to put the result in
	candidatesLeft int    // how many more places there are to look in
	want           uintptr
	exact          bool // the result has to be want
	isCandidate    bool // one of several places to look in
	forks          bool
	tolerated      uintptr
	before         func()              // before the call
	parent         func(child uintptr) // after the fork
	retry          bool                // while it fails with EAGAIN
}

// result is what came of a step. It is complete when done is 1.
type result struct{ done, ret, errno uintptr }

// Process is a child of the caller: first it replays a plan, then it is a program.
type Process struct {
	PID     int // on the host
	plan    *Plan
	results []result
	at      int          // the call in which it waits, or has waited last
	ended   atomic.Int32 // the signal for which box killed it

	listening chan struct{} // closed when signals no longer end box
	pidKnown  chan struct{} // closed when pid is known for good

	passing sync.Mutex // of signals
	reaped  bool       // its number may be another's
}

// launch makes a process that replays the plan, and returns when it has become its
// program, or with the step that failed. The thread stays locked for good: to the
// kernel, the death of the thread that called clone3 is the death of the parent.
func (p *Plan) launch(n *Narration) (*Process, error) {
	runtime.LockOSThread()
	if p.err != nil {
		return nil, p.err
	}
	c := &Process{plan: p, pidKnown: make(chan struct{}), listening: make(chan struct{})}
	if n.Pause == "" { // Ctrl-C at a pause is for box
		go c.forward()
	}
	err := c.become(n)
	p.closeEnd(&p.ends[0]) // a process that still waits at its end gives up
	p.closeEnd(&p.ends[1])
	if err != nil && c.PID != 0 {
		c.reap()
	}
	return c, err
}

// become makes the process and follows it until it has become its program.
func (c *Process) become(n *Narration) error {
	if err := c.plan.before.Perform(n); err != nil {
		return err
	}
	if len(c.plan.held) == 0 && !n.narrates() && !c.plan.hasLaterSyncs() {
		// Nothing to do during the handshake: the byte is sent before clone3. So the child need not
		// wait for a parent that is slow after it: each page is copied at the first write.
		if err := c.plan.answer("", c.plan.firstSync()).Perform(n); err != nil {
			return err
		}
	}
	err := c.start(n)
	c.plan.closeEnd(&c.plan.ends[1])
	if err != nil {
		return err
	}
	return c.follow(n)
}

// closeEnd closes an end of the sync socket, once.
func (p *Plan) closeEnd(end *int32) {
	if *end != 0 {
		unix.Close(int(*end))
		*end = 0
	}
}

// start makes the child. ForkLock keeps it from getting copies of descriptors that other
// goroutines are opening and have not marked close-on-exec yet.
func (c *Process) start(n *Narration) error {
	size := uintptr(len(c.plan.Calls)) * unsafe.Sizeof(result{})
	shared, err := unix.MmapPtr(-1, 0, nil, size,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap(%d bytes for the results): %w", size, err)
	}
	c.results = unsafe.Slice((*result)(shared), len(c.plan.Calls))
	call := cloneCall(&c.plan.Clone)
	steps, slots := c.plan.steps()
	if n.Pause == "" {
		<-c.listening
	}
	syscall.ForkLock.Lock()
	nofile.Lower() // the child inherits the caller's limit, not the one that Go has given itself
	pid, errno := clone(&c.plan.Clone, steps, slots, c.results)
	nofile.Raise()
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(c.plan)
	if c.PID = int(pid); !c.plan.forks() {
		close(c.pidKnown)
	}
	call.finish(pid, errno)
	n.tell("host", call)
	return call.failure()
}

// clone returns in the parent only. The child is born with all signals blocked: a
// handler of the Go runtime must not run in it.
//
//go:noinline
//go:norace
//go:nocheckptr
func clone(args *cloneArgs, steps []step, slots []uintptr, results []result) (uintptr, unix.Errno) {
	all, old := ^uint64(0), uint64(0)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, sigSetmask,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3,
		uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if errno == 0 && pid == 0 {
		replay(steps, slots, results)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, sigSetmask,
		uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	return pid, errno
}

// replay is all that runs in the child. It leaves by execve, or ends the process.
//
//go:nosplit
//go:noinline
//go:norace
//go:nocheckptr
func replay(steps []step, slots []uintptr, results []result) {
	for i := 0; i < len(steps); i++ {
		s := &steps[i]
		args := s.args
		for k, slot := range s.from {
			if slot != 0 {
				args[k] = slots[slot]
			}
		}
		if s.before != nil {
			s.before()
		}
		r, _, errno := syscall.RawSyscall6(s.nr,
			args[0], args[1], args[2], args[3], args[4], args[5])
		if s.retry && errno == unix.EAGAIN {
			i-- // the same once more
			continue
		}
		if s.forks && errno == 0 && r == 0 {
			continue // the child goes on; its parent records the result, and ends
		}
		results[i].ret, results[i].errno = r, uintptr(errno)
		atomic.StoreUintptr(&results[i].done, 1)
		if s.parent != nil && errno == 0 {
			s.parent(r)
		}
		if errno != 0 && s.candidatesLeft > 0 {
			continue // there are more places to try
		}
		failed := errno != 0 && uintptr(errno) != s.tolerated && s.tolerated != uintptr(AnyError)
		if failed || s.forks || s.exact && r != s.want {
			break
		}
		if s.isCandidate {
			r, i = args[1], i+s.candidatesLeft // the path that was found; no need to look further
		}
		slots[s.into] = r
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT, 127, 0, 0)
	}
}

// steps turns the list into numbers, and makes the slots for the results.
func (p *Plan) steps() ([]step, []uintptr) {
	for _, c := range p.Calls {
		if c.out != nil {
			c.out.slot = 0
		}
	}
	slots := 1
	for _, c := range p.Calls {
		if c.out != nil && c.out.slot == 0 {
			c.out.slot = slots
			slots++
		}
	}
	steps := make([]step, len(p.Calls))
	for i, c := range p.Calls {
		s := step{
			nr: c.nr, into: c.out.place(), isCandidate: c.isCandidate, exact: c.want != nil,
			forks:     c.forks || c.parent != nil,
			tolerated: uintptr(c.tolerated),
			before:    c.before, parent: c.parent, retry: c.retry,
		}
		for k, arg := range c.args {
			s.args[k], s.from[k] = arg.Number(), arg.from.place()
		}
		if s.exact {
			s.want = *c.want
		}
		for s.isCandidate && p.Calls[i+1+s.candidatesLeft].isCandidate { // an execve follows at the latest
			s.candidatesLeft++
		}
		steps[i] = s
	}
	return steps, make([]uintptr, slots)
}

// place is the slot of a result of the list, or 0.
func (v *Value) place() int {
	if v == nil {
		return 0
	}
	return v.slot
}

// follow answers the process at its sync points until it has become its program, or has
// failed at a step. Without a narration the answer is sent before the question comes.
func (c *Process) follow(n *Narration) error {
	size := uintptr(len(c.results)) * unsafe.Sizeof(result{})
	defer unix.MunmapPtr(unsafe.Pointer(&c.results[0]), size)

	// Else there is nothing to wait for.
	waits := n.narrates() || len(c.plan.held) > 0 && c.plan.forks() || c.plan.hasLaterSyncs()
	if len(c.plan.held) > 0 && !waits {
		answer := c.plan.answer(fmt.Sprint(c.PID), c.plan.firstSync())
		if err := c.say(answer, n); err != nil {
			return err
		}
	}
	for c.awaitSync() && !c.plan.Calls[c.at].waitsForOther {
		if waits {
			n.follow(c.plan.Calls[:c.at])
			answer := c.plan.answer(fmt.Sprint(c.PID), c.plan.Calls[c.at])
			if err := c.say(answer, n.gate(c, answer)); err != nil {
				return err
			}
		}
	}
	n.follow(c.plan.Calls)
	return c.outcome()
}

// hasLaterSyncs reports whether the process waits for the host after the handshake too.
func (p *Plan) hasLaterSyncs() bool {
	return slices.ContainsFunc(p.Calls, func(c *Call) bool { return c.held != nil })
}

// firstSync is the handshake, or an empty call if the list has none.
func (p *Plan) firstSync() *Call {
	i := slices.IndexFunc(p.Calls, func(c *Call) bool { return c.syncs })
	if i < 0 || p.Calls[i].waitsForOther {
		return &Call{topic: handshake}
	}
	return p.Calls[i]
}

// forks reports whether the process that becomes the program is not the one that clone3
// makes, so that its pid is known only at the handshake.
func (p *Plan) forks() bool {
	return slices.ContainsFunc(p.Calls, func(c *Call) bool { return c.forks })
}

// say performs an answer. If it fails because the process has failed before it came to
// listen, then the step at which the process failed is the error.
func (c *Process) say(answer *Plan, n *Narration) error {
	err := answer.Perform(n)
	if err == nil || errors.Is(err, unix.EPIPE) {
		return nil
	}
	c.readResults()
	if failed := c.outcome(); failed != nil {
		return failed
	}
	return err
}

// awaitSync waits for the process at its next sync point. It returns false when there is
// none: the socket was closed, by execve or because the process has ended. The list says
// which call the process is in: the result of its write may arrive a moment later.
func (c *Process) awaitSync() bool {
	var b [1]byte
	n, err := unix.Read(int(c.plan.ends[0]), b[:])
	for err == unix.EINTR || n == 1 && b[0] != 'b' { // not a sync point
		n, err = unix.Read(int(c.plan.ends[0]), b[:])
	}
	if n != 1 {
		c.at = len(c.plan.Calls)
		c.readResults()
		return false
	}
	for c.at++; !c.plan.Calls[c.at].syncs; c.at++ {
	}
	c.readResults()
	c.plan.Calls[c.at-1].finish(1, 0)
	return true
}

// readResults records what the process has done. The child of a fork in the list takes its
// parent's place, once the parent has recorded its result and ended.
func (c *Process) readResults() {
	for i, call := range c.plan.Calls {
		if call.forks && i < c.at && !call.done {
			reap(c.PID)
		}
		m := &c.results[i]
		if call.parent != nil {
			c.awaitParent(i)
		}
		if atomic.LoadUintptr(&m.done) == 0 || call.done {
			continue
		}
		call.finish(m.ret, unix.Errno(m.errno))
		if call.forks && call.Errno == 0 {
			c.PID = int(call.Ret)
			close(c.pidKnown)
		}
	}
}

// awaitParent waits for the result of a fork whose parent stays: the child may be ahead.
func (c *Process) awaitParent(fork int) {
	ahead := func() bool {
		return atomic.LoadUintptr(&c.results[fork].done) == 0 &&
			atomic.LoadUintptr(&c.results[fork+1].done) != 0
	}
	for n := 0; ahead() && n < 20_000; n++ { // no longer than a second: it may have been killed
		time.Sleep(50 * time.Microsecond)
	}
}

// outcome returns the last step that has a result, if it failed. An execve that succeeds
// has none.
func (c *Process) outcome() error {
	last := c.plan.Calls[0]
	for _, call := range c.plan.Calls {
		if call.done {
			last = call
		}
	}
	return last.failure()
}

// reap waits for the process to end. Its number is its own until it is reaped: from then on
// no signal may go there.
func (c *Process) reap() (unix.WaitStatus, error) {
	for unix.Waitid(unix.P_PID, c.PID, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.passing.Lock()
	defer c.passing.Unlock()
	c.reaped = true
	return reap(c.PID)
}

// reap waits for the end of a child.
func reap(pid int) (status unix.WaitStatus, err error) {
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			return status, err
		}
	}
}
