// PID 1 of a namespace has two duties (pid_namespaces(7)): to wait for the processes that
// others have left behind, or they stay as zombies, and to react to signals that no handler
// is set for. Most programs do neither. With --init the list forks before its end: the new
// process becomes the program, and its maker stays as PID 1 and does what is here.
package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// Init is clone(2) in the middle of a list: its maker reigns over the new process, which
// replays the rest. It is not clone3, because the seccomp filter is up by now and forbids
// that: it could not see the flags. The maker is still a copy of box, with the caller's
// environment. Without a user namespace, in which nobody but root could join it any more
// (setns(2)), it is shut to those inside.
func (p *Plan) Init() *plan.Call {
	if p.Clone.Flags&unix.CLONE_NEWUSER == 0 {
		p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), plan.Sym(0, "SUID_DUMP_DISABLE")).
			Why("nobody inside may read what box has in its memory")
	}
	return p.Add("clone", unix.SYS_CLONE, plan.Sym(uintptr(unix.SIGCHLD), "flags=SIGCHLD"), plan.Sym(0, "child_stack=NULL")).
		Stays(reign).Why("PID 1 stays, to pass signals on and to bury the dead")
}

// reign is the life of PID 1. It makes raw system calls only, like replay, which it is
// called by. All signals are blocked, so that they are taken here one by one.
//
//go:nosplit
//go:norace
//go:nocheckptr
func reign(child uintptr) {
	all := ^uint64(0)
	syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 0, 1<<32-1, 0) // the leash, too: the child has its own
	for {
		signal, _, _ := syscall.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&all)), 0, 0, 8, 0, 0)
		if unix.Signal(signal) == unix.SIGCHLD {
			bury(child)
		} else if signal < 1<<16 { // else it is an error: interrupted
			syscall.RawSyscall(unix.SYS_KILL, child, signal, 0)
		}
	}
}

// bury waits for all who have ended. When it is the child, PID 1 ends in the same way, as
// far as it can: nobody else may end it by a signal.
//
//go:nosplit
//go:norace
//go:nocheckptr
func bury(child uintptr) {
	for {
		status := unix.WaitStatus(0)
		pid, _, errno := syscall.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WNOHANG, 0, 0, 0)
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
