// Smallest is a container on one screen: a process that sees only itself, in a root of its own.
//
//	go build -o smallest ./lessons/smallest
//	sudo ./smallest DIR PROGRAM [ARG …]
//
// DIR is a directory that holds a root filesystem with an empty directory proc. It runs itself a
// second time, inside the new namespaces, because a Go program cannot fork: it has several
// threads, and fork copies only one. Lesson 1 says what is wrong with that, and with the rest.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// inside is the name by which the program recognises its second run.
const inside = "smallest-inside"

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: smallest DIR PROGRAM [ARG ...]")
		os.Exit(2)
	}
	do := outside
	if os.Args[0] == inside {
		do = enter
	}
	err := do(os.Args[1], os.Args[2:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "smallest:", err)
		os.Exit(1)
	}
}

// outside starts this program again, as the first process of new namespaces.
func outside(dir string, command []string) error {
	again := exec.Command("/proc/self/exe")
	again.Args = append([]string{inside, dir}, command...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | // its own mounts
			syscall.CLONE_NEWPID | // it is process 1
			syscall.CLONE_NEWUTS | // its own host name
			syscall.CLONE_NEWIPC | // its own shared memory and message queues
			syscall.CLONE_NEWNET, // a network without any interface that is up
		Pdeathsig: syscall.SIGKILL, // it ends when this process ends
	}
	return again.Run()
}

// enter makes dir the root, and becomes the command.
func enter(dir string, command []string) error {
	// Mounts of the host are shared with new namespaces until this says otherwise.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	// pivot_root takes a mount, not a mere directory: bind it onto itself.
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", dir, err)
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	// The new root takes the place of the old one, which then lies on top of it …
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root %s: %w", dir, err)
	}
	// … until it is taken away. From here on no path leads to the host's files.
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("umount the old root: %w", err)
	}
	const attrs = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	// A /proc that shows the processes of the new namespace: ps needs it.
	if err := syscall.Mount("proc", "/proc", "proc", attrs, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Sethostname([]byte("smallest")); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	os.Setenv("PATH", "/usr/bin:/bin")
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	if err := syscall.Exec(program, command, []string{"PATH=/usr/bin:/bin"}); err != nil {
		return fmt.Errorf("execve %s: %w", program, err)
	}
	return nil
}
