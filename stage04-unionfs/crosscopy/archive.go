package crosscopy

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Archive writes the source as a tar stream. Its name there is that of the place, if that has one.
func (s *Source) Archive(w io.Writer, p *Place) error {
	name := s.name
	if p != nil && p.name != "" {
		name = p.name
	}
	a := files.NewArchive(w)
	if err := a.Add(name, s.fd); err != nil {
		return err
	}
	if s.isDir {
		if err := walk(s.fd, name, a.Add); err != nil {
			return err
		}
	}
	return a.Close()
}

// walk visits every file below a directory, also on the mounts there, except on those of the
// kernel's own file systems.
func walk(dir int, prefix string, visit func(name string, fd int) error) error {
	names, err := files.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := walkEntry(dir, name, prefix+"/"+name, visit); err != nil { // ./name, as in Docker
			return err
		}
	}
	return nil
}

func walkEntry(dir int, name, inside string, visit func(name string, fd int) error) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := visit(inside, fd); err != nil || !isDir(&st) || isKernels(fd) {
		return err
	}
	return walk(fd, inside, visit)
}

// isKernels reports whether a directory is on a file system without files of anyone's own.
func isKernels(fd int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
		unix.DEVPTS_SUPER_MAGIC, unix.SECURITYFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC:
		return true
	}
	return false
}
