// Package output is the flag --output of a build: where the result goes instead of the store.
// Parse reads the flag as Docker does, List.Check looks at what is there before anything is built,
// and List.Write writes a Result to all outputs: as a tar stream (tree.go), into a directory
// (local.go), or as an image archive (image.go). No lesson reads it.
package output

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/registry"
)

// Output is a value of --output.
type Output struct {
	Type string   // one of types
	Dest string   // a path, or "-" for standard output
	Name []string // of an image

	text string // the value, for errors

	rewrite bool // lower the times of files to SOURCE_DATE_EPOCH
}

// List is all values of the flag.
type List []Output

// types are the keys that each type of output takes.
var types = map[string][]string{
	"local": {"dest"}, "tar": {"dest"}, "cacheonly": nil, "image": {"name", "rewrite-timestamp"},
	"oci": {"dest", "name", "rewrite-timestamp"}, "docker": {"dest", "name", "rewrite-timestamp"},
}

// Parse reads the values of --output: a directory, - for a tar archive on standard output, or
// type=TYPE,KEY=VALUE,… in the form of a line of CSV.
func Parse(list []string) (outputs List, err error) {
	for _, text := range list {
		o := Output{text: text}
		if err := o.parse(); err != nil {
			return nil, fmt.Errorf("--output %q: %w", text, err)
		}
		outputs = append(outputs, o)
	}
	return outputs, nil
}

func (o *Output) parse() error {
	words, err := csv.NewReader(strings.NewReader(o.text)).Read()
	switch {
	case err != nil:
		return errors.New("give DIR, -, or type=TYPE,KEY=VALUE")
	case o.text == "-":
		o.Type, o.Dest = "tar", "-"
		return nil
	case len(words) == 1 && !strings.HasPrefix(o.text, "type=") && !strings.HasPrefix(o.text, "dest="):
		o.Type, o.Dest = "local", words[0]
		return nil
	}
	keys := map[string]string{}
	for _, word := range words {
		key, value, given := strings.Cut(word, "=")
		if !given {
			return fmt.Errorf("%q: give KEY=VALUE", word)
		}
		keys[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return o.take(keys)
}

// take takes the keys that the type has.
func (o *Output) take(keys map[string]string) error {
	o.Type = keys["type"]
	accepted, known := types[o.Type]
	if !known {
		problem := fmt.Sprintf("unknown type %q", o.Type)
		if o.Type == "" {
			problem = "type= is missing"
		}
		return fmt.Errorf("%s; accepted: %s", problem, list(slices.Sorted(maps.Keys(types))))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key != "type" && !slices.Contains(accepted, key) {
			return fmt.Errorf("unknown key %q; type=%s takes %s", key, o.Type, list(accepted))
		}
	}
	o.Dest = keys["dest"]
	if keys["name"] != "" {
		o.Name = strings.Split(keys["name"], ",")
	}
	for _, name := range o.Name {
		if _, err := registry.ParseNewName(name); err != nil {
			return err
		}
	}
	if text := keys["rewrite-timestamp"]; text != "" {
		rewrite, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("rewrite-timestamp=%s: give true or false", text)
		}
		o.rewrite = rewrite
	}
	return o.complete()
}

// complete sets where an output goes that does not say it.
func (o *Output) complete() error {
	switch {
	case o.Dest != "":
	case o.Type == "local":
		return errors.New("dest= is missing; add dest=DIR")
	case o.Type == "docker": // which is loaded
		o.Type = "image"
	case o.Type == "tar" || o.Type == "oci":
		o.Dest = "-"
	}
	return nil
}

func list(words []string) string {
	if len(words) == 0 {
		return "no other key"
	}
	return strings.Join(words, ", ")
}

// Check returns the error that writing an output would end with, as far as it can be known before.
func (list List) Check() error {
	stdout := 0
	for _, o := range list {
		if o.toStdout() {
			stdout++
		}
		err := o.check()
		if stdout > 1 {
			err = errors.New("another --output is standard output already")
		}
		if err != nil {
			return fmt.Errorf("--output %q: %w", o.text, err)
		}
	}
	return nil
}

func (o Output) check() error {
	switch {
	case o.Type == "local":
		return checkDir(o.Dest)
	case o.toStdout() && term.IsTerminal(1):
		return errors.New("refusing to write an archive to a terminal; add dest=FILE or redirect")
	case o.Dest != "":
		return state.CheckOutput(o.Dest)
	}
	return nil
}

func checkDir(path string) error {
	if path == "-" {
		return errors.New("a directory cannot be standard output; type=tar can")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	}
	return err
}

// toStdout reports whether an output goes to standard output.
func (o Output) toStdout() bool {
	return o.Dest != "" && o.Type != "local" && state.IsStdout(o.Dest)
}

// ToStdout reports whether one of the outputs goes to standard output.
func (list List) ToStdout() bool { return slices.ContainsFunc(list, Output.toStdout) }

// WithoutImage reports whether none of the outputs is an image, in the store or in an archive, which
// has an id and may have names.
func (list List) WithoutImage() bool {
	isImage := func(o Output) bool { return slices.Contains(types[o.Type], "name") }
	return len(list) > 0 && !slices.ContainsFunc(list, isImage)
}

// RewriteTimestamp reports whether an output asks for the times of --rewrite-timestamp: all layers
// of a build have the same.
func (list List) RewriteTimestamp() bool {
	return slices.ContainsFunc(list, func(o Output) bool { return o.rewrite })
}

// Names returns the names of the image: those of --tag if there are any, as in Docker, else the
// output's own.
func (o Output) Names(tags []string) []string {
	if len(tags) > 0 {
		return tags
	}
	return o.Name
}

// Place says for people where an output goes; "" is the store, or nowhere.
func (o Output) Place() string {
	if o.toStdout() {
		return "standard output"
	}
	return o.Dest
}
