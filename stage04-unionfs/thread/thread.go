// Package thread runs a function on a thread of its own, for what is a thread's in Linux and a
// process's to Go: namespaces (setns(2), unshare(2)) and descriptors (CLONE_FILES). No lesson
// reads it.
package thread

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Go runs do on a thread that ends with it, and returns at once.
func Go(do func()) {
	go func() {
		runtime.LockOSThread() // and never unlock it: the runtime ends such a thread
		if unix.Gettid() != os.Getpid() {
			do()
			return
		}
		// The first thread of a process does not end with its goroutine. While it waits, another
		// one is taken.
		defer runtime.UnlockOSThread()
		done := make(chan bool)
		Go(func() { defer close(done); do() })
		<-done
	}()
}

// await waits until a thread of this process has ended, and with it all that was its own.
func await(tid int) {
	for unix.Tgkill(os.Getpid(), tid, 0) == nil {
		time.Sleep(time.Millisecond)
	}
}

// Root has a thread of its own enter a mount namespace, and opens the root that the thread has
// there. end waits until the thread has ended, and with it the namespace and all its mounts.
func Root(enter func() error) (root int, end func(), err error) {
	entered, ended, tid := make(chan error), make(chan bool), 0
	Go(func() {
		tid = unix.Gettid()
		entered <- enter()
		<-ended
	})
	err = <-entered
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	root, errOpen := unix.Open(fmt.Sprintf("/proc/self/task/%d/root", tid), flags, 0)
	end = func() { unix.Close(root); close(ended); await(tid) }
	if err = cmp.Or(err, errOpen); err != nil {
		end()
	}
	return root, end, err
}
