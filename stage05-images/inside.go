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
	"io"
	"os"
	"os/exec"
	"strings"

	"stagebox/stage05-images/layer"
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
		return layer.SetOwners(c.Dir)
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
