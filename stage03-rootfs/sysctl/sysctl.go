// Package sysctl reads the flag --sysctl: settings of /proc/sys (proc(5)) that belong to a namespace,
// which a container may have of its own. No lesson reads it.
package sysctl

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Setting is a file below /proc/sys, and what is written to it.
type Setting struct {
	Name  string // with dots: net.ipv4.ip_forward
	Path  string // /proc/sys/net/ipv4/ip_forward
	Value string
}

// namespaced are the settings that belong to a namespace, by prefix.
var namespaced = map[string]uint64{
	"net.": unix.CLONE_NEWNET, "fs.mqueue.": unix.CLONE_NEWIPC,
	"kernel.msg": unix.CLONE_NEWIPC, "kernel.sem": unix.CLONE_NEWIPC,
	"kernel.shm": unix.CLONE_NEWIPC,
}

// Namespace returns the CLONE_NEW flag of the namespace that a setting belongs to; 0 for one of the
// whole host.
func Namespace(name string) (kind uint64) {
	for prefix, k := range namespaced {
		if strings.HasPrefix(name, prefix) {
			kind = k
		}
	}
	return kind
}

// Names returns the name of a setting with dots, and its file. In a name that begins as net/ a dot is
// part of an interface's name, such as eth0.5, and in one that begins as net. a slash stands for
// it (sysctl.d(5)).
func Names(name string) (dotted, file string) {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		name = swapped.Replace(name)
	}
	return name, "/proc/sys/" + swapped.Replace(name)
}

var swapped = strings.NewReplacer(".", "/", "/", ".")

// Parse reads NAME=VALUE. A setting of the whole host is an error, and so is one of a namespace that
// the container does not have of its own; own has the CLONE_NEW flags of those that it has.
func Parse(spec string, own uint64) (Setting, error) {
	name, value, given := strings.Cut(spec, "=")
	name, file := Names(name)
	kind := Namespace(name)
	var err error
	switch {
	case !given || name == "" || path.Clean(file) != file:
		err = fmt.Errorf("--sysctl %s: give NAME=VALUE, the name with dots: net.ipv4.ip_forward=1", spec)
	case kind == 0:
		err = fmt.Errorf("--sysctl %s: %s is the whole host's; a container has kernel.msg*, "+
			"kernel.sem, kernel.shm*, fs.mqueue.* and net.* of its own", spec, name)
	case own&kind == 0:
		err = fmt.Errorf("--sysctl %s: the container shares this namespace with the host, whose setting it is", spec)
	}
	return Setting{name, file, value}, err
}

// Check refuses the first value of --sysctl that no container may have, whatever it shares.
func Check(specs []string) error {
	for _, spec := range specs {
		if _, err := Parse(spec, ^uint64(0)); err != nil {
			return err
		}
	}
	return nil
}
