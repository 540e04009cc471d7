// PID 1 of a namespace has two duties (pid_namespaces(7)): to wait for orphaned processes, which
// would otherwise stay as zombies, and to react to signals that no handler is set for. Most
// programs do neither. With --init the list forks before its end: the new process becomes the
// program, and its parent stays as PID 1 and runs the loop below.

package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/proctitle"
)

// Init is clone(2) in the middle of a list: the child replays the rest, and its parent stays
// as PID 1. It is not clone3, which the seccomp filter forbids by now, because it cannot see
// the flags. The parent is still a copy of box, with the caller's environment, so those
// inside may not trace it. In a user namespace it stays dumpable: only root could still join
// it otherwise (setns(2)).
func (p *Plan) Init(command []string) *plan.Call {
	// The arguments that those inside see are not box's own, but like those of Docker's init. They
	// are set before the fork: the child may look at once.
	proctitle.Prepare(append([]string{"/sbin/box-init", "--"}, command...))
	if p.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"),
			plan.Sym(0, "SUID_DUMP_DISABLE")).
			Why("no process inside may read box's memory")
	}
	return p.Add("clone", unix.SYS_CLONE, plan.Sym(uintptr(unix.SIGCHLD), "flags=SIGCHLD"),
		plan.Sym(0, "child_stack=NULL")).
		Before(proctitle.Set).ParentRuns(initLoop).
		Why("PID 1 stays, to pass signals on and to reap zombies")
}

// initLoop is what PID 1 does until its end. It makes raw system calls only, like the replay
// that calls it. All signals are blocked, so that they are taken here one by one.
//
//go:nosplit
//go:norace
//go:nocheckptr
func initLoop(child uintptr) {
	all := ^uint64(0)
	// Also the sync socket: the child has its own.
	syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 0, 1<<32-1, 0)
	for {
		signal, _, _ := syscall.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT,
			uintptr(unsafe.Pointer(&all)), 0, 0, 8, 0, 0)
		if unix.Signal(signal) == unix.SIGCHLD {
			reap(child)
		} else if signal < 1<<16 { // else it is an error: interrupted
			syscall.RawSyscall(unix.SYS_KILL, child, signal, 0)
		}
	}
}

// reap waits for all processes that have ended. When one is the child, PID 1 ends with its
// status, as a shell writes it: a signal cannot kill PID 1 from inside.
//
//go:nosplit
//go:norace
//go:nocheckptr
func reap(child uintptr) {
	for {
		status := unix.WaitStatus(0)
		pid, _, errno := syscall.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0),
			uintptr(unsafe.Pointer(&status)), unix.WNOHANG, 0, 0, 0)
		if errno != 0 || pid == 0 {
			return
		}
		if pid == child {
			code := uintptr(status>>8) & 0xff
			if status&0x7f != 0 {
				code = 128 + uintptr(status&0x7f)
			}
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
		}
	}
}
