// The trials on the disk that holds the state directory. They use a file without a name
// (O_TMPFILE of open(2)), so that no directory ever shows it and the kernel frees it with
// the descriptor.
package host

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Disk is one file system.
type Disk struct {
	Dir      string // the directory in which was tried
	Free     uint64 // bytes that the user may still write
	Inodes   uint64 // files that may still be made; 0 when the file system has no such limit
	Unnamed  Outcome
	Xattr    Outcome // attributes named user.*: not reached without an unnamed file, as the next two
	Lock     Outcome
	Reflink  Outcome
	CaseLess bool // "A" and "a" are one file
}

// tryDisk leaves at zero what cannot be found out.
func tryDisk(dir string) Disk {
	d := Disk{Dir: dir, CaseLess: caseLess(dir)}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil {
		d.Free, d.Inodes = st.Bavail*uint64(st.Bsize), st.Ffree
	}
	one, err := unnamed(dir)
	d.Unnamed = outcome("open(O_TMPFILE)", err)
	if err != nil {
		return d
	}
	defer unix.Close(one)
	d.Xattr = outcome("fsetxattr(user.box)", unix.Fsetxattr(one, "user.box", []byte("1"), 0))
	d.Lock = outcome("flock", unix.Flock(one, unix.LOCK_EX|unix.LOCK_NB))
	if two, err := unnamed(dir); err == nil {
		defer unix.Close(two)
		d.Reflink = outcome("ioctl(FICLONE)", unix.IoctlFileClone(two, one))
	}
	return d
}

func unnamed(dir string) (int, error) {
	return unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
}

// caseLess asks for something in dir by its name in the other case.
func caseLess(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(64) // the error is the end of a short directory
	for _, name := range names {
		other := strings.Map(otherCase, name)
		if other == name {
			continue
		}
		info, err1 := os.Lstat(filepath.Join(dir, name))
		info2, err2 := os.Lstat(filepath.Join(dir, other))
		return err1 == nil && err2 == nil && os.SameFile(info, info2)
	}
	return false
}

func otherCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}

// hasCaps is true for a program with file capabilities, which is how some distributions
// give newuidmap its rights.
func hasCaps(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0
}
