// A container's process must not get hold of box itself. /proc/PID/exe leads to the program
// that a process runs, even if that file is not in the container: a process that opens it
// there, waits until no one runs it any more, and then writes has changed the host's box
// (CVE-2019-5736). So where box may end before the container does, it runs from a copy in memory
// that cannot be written to (memfd_create(2), fcntl(2) on seals).

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// seal executes box once more, from a sealed copy, unless this is one already.
func seal() error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	seals, err := unix.FcntlInt(self.Fd(), unix.F_GET_SEALS, 0)
	if err == nil && seals&unix.F_SEAL_WRITE != 0 {
		return nil
	}
	fd, err := unix.MemfdCreate("box", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 every such file may be executed
		fd, err = unix.MemfdCreate("box", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	for n := 1; n > 0; { // one call copies most or all of it; 0 is the end of the file
		if n, err = unix.Sendfile(fd, int(self.Fd()), nil, 1<<30); err != nil {
			return fmt.Errorf("sendfile(box to a copy in memory): %w", err)
		}
	}
	seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("fcntl(F_ADD_SEALS): %w", err)
	}
	err = unix.Exec("/proc/self/fd/"+strconv.Itoa(fd), os.Args, os.Environ())
	return fmt.Errorf("execve of the copy in memory: %w", err)
}

// guardSelf seals box for a run. That is needed only where it could be written to although
// it runs: most kernels refuse that (ETXTBSY), and box lives longer than PID 1, with
// which all others inside die. Linux 6.11 and 6.12 did not refuse it.
func (r *newRoot) guardSelf() error {
	if r.DryRun {
		return nil
	}
	return sealUnless(r.Clone.Flags&unix.CLONE_NEWPID != 0)
}

// sealUnless seals box unless all others die with it, and it cannot be written to until then.
func sealUnless(diesLast bool) error {
	fd, err := unix.Open("/proc/self/exe", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	if err == nil || !diesLast {
		return seal()
	}
	return nil
}
