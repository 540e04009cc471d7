// Seccomp has a small BPF program in the kernel decide on every system call, by its number and
// arguments (seccomp(2)). The default is Docker's profile; the package seccomp compiles it.

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// Seccomp installs a filter, unless it is empty.
func (p *Plan) Seccomp(code []unix.SockFilter) {
	if len(code) > 0 {
		p.SeccompWith(code, 0)
	}
}

// SeccompWith is seccomp(2). The process cannot remove the filter again.
func (p *Plan) SeccompWith(code []unix.SockFilter, flags int) {
	program := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	p.Add("seccomp", unix.SYS_SECCOMP,
		plan.Sym(unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"), flags,
		plan.Ptr(unsafe.Pointer(program), fmt.Sprintf("{len=%d, filter=%p}", len(code), &code[0]))).
		Why("from here on, only the system calls of a list").Look("grep Seccomp /proc/PID/status")
}
