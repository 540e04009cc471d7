// Package nofile knows the limit on open files with which the program was started. Go raises the
// soft limit (RLIMIT_NOFILE, setrlimit(2)) to the hard one before main begins; os/exec gives the
// old one back to the programs that it starts, and keeps it to itself. A program that makes
// processes in another way does that by this package: a limit of 1024 is for programs that use
// select(2), and one of a million makes others, which close all that they might have, slow.
//
// The limit is raised when the package syscall is initialized. Packages are initialized in the
// order of their import paths, those that they import first: so this one, which imports none
// that matters, comes before. It must not import syscall, nor any package that does.
package nofile

import (
	"runtime"
	"unsafe"
)

// limit is struct rlimit.
type limit struct{ soft, hard uint64 }

// started is the limit as it was when the program began.
var started = prlimit(nil)

// raised is the limit that was in place before Lower.
var raised, lowered limit

// Lower gives the process the soft limit with which it was started. Raise takes it back: between
// the two, other threads have no more files than that.
func Lower() {
	raised = prlimit(nil)
	// Any other is not Go's doing: prlimit(1), or the program itself.
	if raised == (limit{started.hard - 1, started.hard}) && started.soft < raised.soft {
		lowered = limit{started.soft, raised.hard}
		prlimit(&lowered)
	}
}

// Raise undoes Lower.
func Raise() {
	if lowered != (limit{}) {
		prlimit(&raised)
		lowered = limit{}
	}
}

// prlimit is prlimit64(2) of RLIMIT_NOFILE: it sets a limit, unless it is nil, and returns the
// one before.
func prlimit(l *limit) (old limit) {
	nr := uintptr(302)
	if runtime.GOARCH == "arm64" {
		nr = 261
	}
	rawSyscall6(nr, 0, 7, uintptr(unsafe.Pointer(l)), uintptr(unsafe.Pointer(&old)), 0, 0)
	return old
}

//go:linkname rawSyscall6 syscall.RawSyscall6
//go:uintptrescapes
func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)
