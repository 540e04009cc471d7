// An ordinary user to whom /etc/subuid grants more users than himself has containers with many
// users in them. Their files belong to them on the host too, under numbers that only the
// user namespace translates, and some are closed to everybody else. So box goes inside for
// all that is about the owners of a layer's files: a process of its own, as user 0 of a
// namespace that maps the same users as the containers (user_namespaces(7)).
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// insideCmd is how box starts itself for that.
type insideCmd struct {
	Do     string   `arg:"" enum:"own,pack"`
	Dir    string   `arg:""`
	Owners []string `arg:"" optional:""`

	Store
}

// Run is `box inside`, first outside, then inside.
func (c *insideCmd) Run() error {
	switch {
	case os.Geteuid() != 0:
		return c.Store.asInside()
	case c.Do == "own":
		return own(c.Dir)
	default:
		_, err := packLayer(os.Stdout, c.Dir, c.Owners...)
		return err
	}
}

// hasMany tells whether the caller is an ordinary user whose containers have many users.
func hasMany() bool {
	if os.Geteuid() == 0 {
		return false
	}
	uids, _, err := grants()
	return err == nil && len(uids) > 0
}

// goInside has box do something inside, and takes what it writes.
func goInside(out io.Writer, words ...string) error {
	var said bytes.Buffer
	box := exec.Command("/proc/self/exe", append([]string{"inside"}, words...)...)
	box.Stdout, box.Stderr = out, &said
	err := box.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(cmp.Or(strings.TrimPrefix(strings.TrimSpace(said.String()), "box: "), err.Error()))
	}
	return err
}

// own gives the files of a layer the owners, modes and attributes that the text beside it
// says. What the kernel does not grant, such as devices, stays in the text.
func own(dir string) error {
	text := dir + ownersSuffix
	owners, err := readOwners([]string{text})
	if err != nil {
		return err
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", dir, err)
	}
	defer unix.Close(root)
	left := ownersWriter{path: text + ".left"}
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		i := owners[name]
		if i == nil || i.settle(root, name) == nil { // nil is another name of a file as it should be
			continue
		}
		if err := left.file(name, i); err != nil {
			return err
		}
	}
	if err := left.close(); err != nil {
		return err
	}
	if err := os.Rename(left.path, text); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Remove(text) // all is as it should be
}

// settle makes a file what it should be. The mode comes last: chown(2) takes setuid away.
func (i *intention) settle(root int, name string) error {
	if i.want&unix.S_IFMT != 0 {
		return fmt.Errorf("%q: a device cannot be made inside", name)
	}
	fd, err := files.OpenBeneath(root, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	if err := unix.Fchownat(fd, "", i.uid, i.gid, unix.AT_EMPTY_PATH); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return err
	}
	for key, values := range i.xattrs {
		if err := unix.Setxattr(files.FDPath(fd), key, []byte(values[0]), 0); err != nil {
			return err
		}
	}
	mode := st.Mode & 0o7777
	if mode == i.have {
		mode = i.want
	}
	return unix.Chmod(files.FDPath(fd), mode)
}
