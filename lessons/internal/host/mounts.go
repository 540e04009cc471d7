// The role "mounts": what a process may mount in a mount and a PID namespace of its own.
// All happens on a tmpfs over /tmp that no one else sees. See mount_namespaces(7).
package host

import (
	"os"

	"golang.org/x/sys/unix"
)

func (o Outcomes) tryMounts() {
	// Private first: where / is shared, as it is under systemd, every mount below would
	// otherwise appear on the host.
	if !o.note("private", `mount("/", MS_REC|MS_PRIVATE)`, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")) ||
		!o.note("tmpfs", `mount("tmpfs", "/tmp")`, unix.Mount("box-probe", "/tmp", "tmpfs", 0, "mode=755,size=1m")) ||
		!o.note("mkdir", "mkdir in a new tmpfs", makeDirs("proc", "pts", "lower", "upper", "work", "merged", "lower/gone")) {
		return
	}
	o.note("proc", `mount("proc", "/proc")`, unix.Mount("proc", "/tmp/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
	o.note("devpts", `mount("devpts", newinstance)`, unix.Mount("devpts", "/tmp/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"))
	o.tryOverlay()
	o.tryPivot()
}

func makeDirs(names ...string) error {
	for _, name := range names {
		if err := os.Mkdir("/tmp/"+name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// tryOverlay mounts one, and removes in it what a lower layer holds: that is when overlay
// needs a whiteout, which not every kernel lets an ordinary user make.
func (o Outcomes) tryOverlay() {
	options := "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work"
	if (&Host{Files: os.DirFS("/")}).nested() {
		options += ",userxattr"
	}
	if o.note("overlay", `mount("overlay")`, unix.Mount("overlay", "/tmp/merged", "overlay", 0, options)) {
		o.note("whiteout", "rmdir in an overlay", unix.Rmdir("/tmp/merged/gone"))
	}
}

// tryPivot is the last trial: after it there is no file left to try with.
func (o Outcomes) tryPivot() {
	err := unix.Chdir("/tmp")
	if err == nil {
		err = unix.PivotRoot(".", ".")
	}
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	}
	o.note("pivot_root", "pivot_root", err)
}
