// box info and box version: a short description of host and program, to send along with a question.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const version = "0.1.0"

type versionCmd struct{}

// Run is `box version`.
func (versionCmd) Run() error {
	_, err := fmt.Printf("box %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

type infoCmd struct{}

// facts are the lines of `box info`, a name and what finds the value.
var facts = []struct {
	name string
	find func() (string, error)
}{
	{"kernel", kernel},
	{"user", whoami},
	{"namespaces", namespacesHere},
	{"cgroups", cgroupsHere},
}

// Run is `box info`.
func (infoCmd) Run() error {
	for _, fact := range facts {
		value, err := fact.find()
		if err != nil {
			value = "unknown: " + err.Error()
		}
		fmt.Printf("%-12s %s\n", fact.name, value)
	}
	return nil
}

func kernel() (string, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(uts.Release[:]) + " " + unix.ByteSliceToString(uts.Machine[:]), nil
}

func whoami() (string, error) {
	if os.Geteuid() == 0 {
		return "root", nil
	}
	return fmt.Sprintf("%d, an ordinary user: containers get a user namespace", os.Geteuid()), nil
}

func namespacesHere() (string, error) {
	var names []string
	for _, k := range kinds {
		if _, err := os.Stat("/proc/self/ns/" + k.name); err == nil {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, " "), nil
}
