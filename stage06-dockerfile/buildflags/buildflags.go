// Package buildflags has the flags of a build that can be read without the store and the
// Dockerfile: Source and Options are as kong reads them, and Parse reads those that have a
// grammar, such as NAME=VALUE and the fields of --secret. Values may come from the caller's
// environment. No lesson reads it.
package buildflags

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"stagebox/stage06-dockerfile/buildcontext"
)

// keyValues parses NAME=VALUE; NAME alone takes the caller's variable, and is left out if that is
// not set. An error begins with the flag.
func keyValues(flag string, list []string) (map[string]string, error) {
	values := map[string]string{}
	for _, text := range list {
		name, value, given := strings.Cut(text, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %q: give NAME=VALUE", flag, text)
		}
		if !given {
			if value, given = os.LookupEnv(name); !given {
				continue
			}
		}
		values[name] = value
	}
	return values, nil
}

// annotations parses [manifest:]NAME=VALUE. Other kinds, such as index, are refused: an image for
// one platform has a manifest alone.
func annotations(list []string) (map[string]string, error) {
	notes := map[string]string{}
	for _, text := range list {
		name, value, given := strings.Cut(text, "=")
		if kind, rest, has := strings.Cut(name, ":"); has {
			if kind != "manifest" {
				return nil, fmt.Errorf("--annotation %s: an image for one platform has a manifest,"+
					" and no %s that could hold it", text, kind)
			}
			name = rest
		}
		if name == "" || !given {
			return nil, fmt.Errorf("--annotation %q: give NAME=VALUE", text)
		}
		notes[name] = value
	}
	return notes, nil
}

// epoch returns the time of SOURCE_DATE_EPOCH (reproducible-builds.org), in seconds since 1970, or
// nil if it is not set. It is looked for in --build-arg, in the caller's environment, which is
// then added to args, and in an ARG above the first FROM. The word context means the time that the
// function context returns: args and globals get its seconds, or lose the variable if there is
// none.
func epoch(args, globals map[string]string, context func() (*time.Time, error)) (*time.Time, error) {
	const name = "SOURCE_DATE_EPOCH"
	if _, given := args[name]; !given && os.Getenv(name) != "" {
		args[name] = os.Getenv(name)
	}
	text, given := args[name]
	if !given {
		text = globals[name]
	}
	switch text {
	case "":
		return nil, nil
	case "context":
		at, err := context()
		replaceWord(args, name, at)
		replaceWord(globals, name, at)
		return at, err
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	at := time.Unix(seconds, 0).UTC()
	if err != nil || seconds < 0 || at.Year() > 9999 {
		return nil, fmt.Errorf("%s=%s: give the seconds since 1970, or the word context", name, text)
	}
	return &at, nil
}

// replaceWord sets a variable that is there to a time in seconds, or removes it.
func replaceWord(values map[string]string, name string, at *time.Time) {
	_, given := values[name]
	switch {
	case given && at != nil:
		values[name] = strconv.FormatInt(at.Unix(), 10)
	case given:
		delete(values, name)
	}
}

// Secret is a value of --secret: the content of a file or a variable.
type Secret struct{ file, env string }

// secrets parses id=NAME,src=FILE and id=NAME,env=VARIABLE. With the id alone, the secret is the
// variable of that name, or the file if the variable is not set.
func secrets(list []string) (map[string]Secret, error) {
	secrets := map[string]Secret{}
	for _, spec := range list {
		id, s := "", Secret{}
		for word := range strings.SplitSeq(spec, ",") {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "id":
				id = value
			case "src", "source":
				s.file = value
			case "env":
				s.env = value
			case "type":
			default:
				return nil, fmt.Errorf("--secret %s: %q is not known: there are id, src and env", spec, key)
			}
		}
		if id == "" {
			return nil, fmt.Errorf("--secret %s: give it a name with id=", spec)
		}
		if s.file == "" && s.env == "" {
			s.env = id
			if _, set := os.LookupEnv(id); !set {
				s = Secret{file: id}
			}
		}
		secrets[id] = s
	}
	return secrets, nil
}

// Read returns the content of the secret.
func (s Secret) Read(ctx context.Context) ([]byte, error) {
	if s.env != "" {
		value, set := os.LookupEnv(s.env)
		if !set {
			return nil, fmt.Errorf("the variable %s is not set", s.env)
		}
		return []byte(value), nil
	}
	return buildcontext.ReadFile(ctx, s.file)
}
