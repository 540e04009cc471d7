// box info and box version: a short description of host and program, to send along with a question.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"stagebox/stage01-namespaces/hostinfo"
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
var facts = []hostinfo.Fact{
	{"kernel", hostinfo.Kernel},
	{"user", hostinfo.User},
	{"namespaces", namespacesHere},
	{"cgroups", cgroupsHere},
}

// Run is `box info`.
func (infoCmd) Run() error {
	hostinfo.Write(os.Stdout, facts)
	return nil
}

func namespacesHere() (string, error) {
	return hostinfo.Namespaces(strings.Split(kindNames(), ", ")), nil
}
