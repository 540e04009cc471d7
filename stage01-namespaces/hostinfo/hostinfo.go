// Package hostinfo describes the host in a few lines, to send along with a question. No lesson reads it.
package hostinfo

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Fact is a line of a description of the host: a name, and what finds the value.
type Fact = struct {
	Name string
	Find func() (string, error)
}

// Write writes the facts, a line each. One that cannot be found is unknown, with the reason.
func Write(out io.Writer, facts []Fact) {
	for _, fact := range facts {
		value, err := fact.Find()
		if err != nil {
			value = "unknown: " + err.Error()
		}
		fmt.Fprintf(out, "%-12s %s\n", fact.Name, value)
	}
}

// Kernel is the kernel's release and machine.
func Kernel() (string, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(uts.Release[:]) + " " + unix.ByteSliceToString(uts.Machine[:]), nil
}

// User is the user, and what follows for containers.
func User() (string, error) {
	if os.Geteuid() == 0 {
		return "root", nil
	}
	return fmt.Sprintf("%d, an ordinary user: containers get a user namespace", os.Geteuid()), nil
}

// Namespaces are those of the kinds of namespaces that the kernel has.
func Namespaces(kinds []string) string {
	var names []string
	for _, kind := range kinds {
		if _, err := os.Stat("/proc/self/ns/" + kind); err == nil {
			names = append(names, kind)
		}
	}
	return strings.Join(names, " ")
}

// Program is the path of the program that a shell would run for a word, or else of one that every
// host has, as an example. Only later stages use it.
func Program(word string) string {
	if path, err := exec.LookPath(word); err == nil && filepath.IsAbs(path) {
		return path
	}
	return "/bin/sh"
}
