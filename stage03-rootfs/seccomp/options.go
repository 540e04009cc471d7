package seccomp

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Options are what --security-opt says.
type Options struct {
	NoNewPrivs bool
	Profile    string // a file or its text, "" for the default, "unconfined"
}

// ParseOptions reads the values of --security-opt; a later one wins.
func ParseOptions(list []string) (o Options, err error) {
	for _, option := range list {
		name, value := option, ""
		if i := strings.IndexAny(option, "=:"); i >= 0 { // the first: a profile has others in it
			name, value = option[:i], option[i+1:]
		}
		switch {
		case name == "no-new-privileges" && (value == "" || value == "true"):
			o.NoNewPrivs = true
		case name == "no-new-privileges" && value == "false":
			o.NoNewPrivs = false
		case name == "seccomp" && value != "":
			o.Profile = value
		default:
			return o, fmt.Errorf("--security-opt %s: there are no-new-privileges, seccomp=FILE and seccomp=unconfined", option)
		}
	}
	return o, nil
}

// Absolute makes the paths of profiles in a list of --security-opt absolute. Only later stages use it.
func Absolute(list []string) error {
	for i, option := range list {
		if file, is := strings.CutPrefix(option, "seccomp="); is && isFile(file) {
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			list[i] = "seccomp=" + path
		}
	}
	return nil
}
