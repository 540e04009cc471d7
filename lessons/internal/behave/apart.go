package behave

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	machine "stagebox/lessons/internal/host"
)

// apart does something on a thread of its own, which root gives a mount, a UTS and a network
// namespace of its own as well. There every mount is shared, as systemd has it on most
// hosts, but with no process outside. So a binary that forgets MS_PRIVATE, or that shares what
// it should not, is found out, and does not harm the host; and a bridge is not the host's.
func apart(do func()) error {
	done := make(chan error)
	go func() { done <- onOwnThread(do) }()
	return <-done
}

// onOwnThread leaves the thread locked, so that it ends with the goroutine and its
// namespaces with it. The process's first thread must not change: it is /proc/self.
func onOwnThread(do func()) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		return apart(do) // while this thread waits, it can only be another
	}
	if os.Geteuid() == 0 {
		if err := leaveHost(); err != nil {
			return err
		}
	}
	do()
	return nil
}

// leaveHost first cuts the mounts off from the host, then shares them among themselves.
func leaveHost() error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWNET): %w: root may make no namespaces here; go run ./lessons doctor tells more", err)
	}
	if err := machine.LoopbackUp(); err != nil {
		return err
	}
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("mount(NULL, \"/\", NULL, MS_REC|%#x, NULL): %w", propagation, err)
		}
	}
	if err := unix.Sethostname([]byte("stagebox-host")); err != nil {
		return fmt.Errorf("sethostname(\"stagebox-host\"): %w", err)
	}
	return nil
}
