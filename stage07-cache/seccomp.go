// Seccomp has a small BPF program in the kernel decide on every system call, by its number and
// arguments (seccomp(2)). The default is Docker's profile; the package seccomp compiles it.

package main

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/seccomp"
)

// filterOf reads a profile and compiles it; no instructions are no filter. That of most containers
// is compiled already.
func filterOf(profile string, caps capability.Set) ([]unix.SockFilter, error) {
	switch {
	case profile == "unconfined":
		return nil, nil
	case profile == "" && caps == capability.Default && seccomp.HasCompiled:
		return seccomp.Compiled(), nil
	}
	return compileFor(profile, caps)
}

// compileFor compiles a profile from a file, or the default one, for a process with these
// capabilities: which system calls make sense depends on them.
func compileFor(path string, caps capability.Set) ([]unix.SockFilter, error) {
	profile, err := loadProfile(path, caps.Names())
	if err != nil {
		return nil, err
	}
	return seccomp.Compile(profile)
}

// loadProfile reads a profile from a file; without a file it is Docker's default.
func loadProfile(path string, caps []string) (*specs.LinuxSeccomp, error) {
	if path == "" {
		return seccomp.Default(caps)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--security-opt seccomp=%s: %w", path, err)
	}
	profile, err := seccomp.Parse(data, caps)
	if err != nil {
		return nil, fmt.Errorf("--security-opt seccomp=%s is not a profile: %w", path, err)
	}
	return profile, nil
}

// Seccomp is seccomp(2). No code plans nothing.
func (p *Plan) Seccomp(code []unix.SockFilter) {
	if len(code) == 0 {
		return
	}
	program := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	p.Add("seccomp", unix.SYS_SECCOMP,
		plan.Sym(unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"), 0,
		plan.Ptr(unsafe.Pointer(program), fmt.Sprintf("{len=%d, filter=%p}", len(code), &code[0]))).
		Why("from here on, only the system calls of a list").Look("grep Seccomp /proc/PID/status")
}
