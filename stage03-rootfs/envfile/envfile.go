// Package envfile reads the files of --env-file, as Docker does, and puts environments together.
package envfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// ReadAll reads several files, which --env-file names: the lines of a later one come later.
func ReadAll(names []string) (list []string, err error) {
	for _, name := range names {
		lines, err := Read(name)
		if err != nil {
			return nil, fmt.Errorf("--env-file %s: %w", name, err)
		}
		list = append(list, lines...)
	}
	return list, nil
}

// Set adds variables to an environment, each in place of an earlier one of that name. A name alone
// takes the caller's value, or none.
func Set(env, variables []string) []string {
	for _, variable := range variables {
		name, _, given := strings.Cut(variable, "=")
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if value, known := os.LookupEnv(name); !given && known {
			variable, given = name+"="+value, true
		}
		if given {
			env = append(env, variable)
		}
	}
	return env
}

// Read reads lines NAME=VALUE, or NAME alone. It skips blank lines, those that begin with #, and
// the byte order mark of UTF-8.
func Read(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, errors.New("the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
	}
	var list []string
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	lines.Buffer(nil, len(data)+1) // else a line is at most 64 KiB, half of what execve takes
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		variable, _, _ := strings.Cut(line, "=")
		switch {
		case !utf8.ValidString(line) || strings.Contains(line, "\x00"):
			return nil, fmt.Errorf("line %d: %q is not UTF-8 text", n, line)
		case variable == "" || strings.ContainsAny(variable, " \t"):
			return nil, fmt.Errorf("line %d: %q is not NAME=VALUE", n, line)
		}
		list = append(list, line)
	}
	return list, lines.Err()
}

// Complete adds variables to an environment as Set does, and HOME if none of them is a HOME with a
// value: an empty one is the user's home, as in Docker. The variables are those of --env and of an image;
// one without a name is an error, as it is in runc.
func Complete(env, variables []string, home string) ([]string, error) {
	for _, variable := range variables {
		if name, _, _ := strings.Cut(variable, "="); name == "" {
			return nil, fmt.Errorf("environment variable %q: the name is missing; give NAME=VALUE", variable)
		}
	}
	env = Set(env, variables)
	isHome := func(v string) bool { return strings.HasPrefix(v, "HOME=") && v != "HOME=" }
	if !slices.ContainsFunc(env, isHome) {
		env = Set(env, []string{"HOME=" + home})
	}
	return env, nil
}

// Resolve gives names alone the caller's values, where the caller has them. Only later stages use it.
func Resolve(variables []string) {
	for i, name := range variables {
		if value, known := os.LookupEnv(name); known && name != "" && !strings.Contains(name, "=") {
			variables[i] = name + "=" + value
		}
	}
}

// WithValues leaves out names without a value. Only later stages use it.
func WithValues(env []string) []string {
	isName := func(v string) bool { return !strings.Contains(v, "=") }
	return slices.DeleteFunc(slices.Clone(env), isName)
}
