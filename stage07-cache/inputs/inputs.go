// Package inputs compares everything that a step of a build depends on with what it depended on
// before, and says in a line what has changed: for people, since the step's key decides whether it is
// made again. An input is a name and a value: "parent", "instruction", "ARG NAME", "base IMAGE",
// "file PATH" and others; the value of a file is its mode, owner and group, and then its content.
// A Last is what was kept of the step before. The lesson reads Input, Difference and Last.Write.
package inputs

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Input is one of the things that a step depends on.
type Input = struct{ Name, Value string }

// ParentChanged is the difference when only the step before has changed.
const ParentChanged = "parent changed"

// Difference describes how inputs differ from those before.
func Difference(before, now []Input) string {
	old := map[string]string{}
	for _, in := range before {
		old[in.Name] = in.Value
	}
	var list []string
	for _, in := range now {
		value, was := old[in.Name]
		delete(old, in.Name)
		switch {
		case was && value == in.Value:
		case in.Name == "instruction":
			return "instruction changed" // and with it everything that it needs
		default:
			list = append(list, differs(in, value, was))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		list = append(list, strings.TrimPrefix(name, "file ")+" is gone")
	}
	if len(list) > 1 {
		list = slices.DeleteFunc(list, func(r string) bool { return r == ParentChanged })
	}
	if len(list) > 3 {
		list = append(list[:3], fmt.Sprintf("and %d more", len(list)-3))
	}
	return strings.Join(list, "; ")
}

// Print prints the inputs of a step and their digest, all at once.
func Print(out io.Writer, step, key string, list []Input) {
	var text strings.Builder
	fmt.Fprintf(&text, "key of %q: %s\n", step, key)
	for _, in := range list {
		fmt.Fprintf(&text, "  %s = %q\n", in.Name, in.Value)
	}
	fmt.Fprint(out, text.String())
}

// ChangedFile returns the name of the first file that is not as it was, "the list of files" if there
// are more or fewer inputs, and "" if nothing of this has changed.
func ChangedFile(before, now []Input) (changed string) {
	old := map[Input]bool{}
	for _, in := range before {
		old[in] = true
	}
	if len(now) != len(before) {
		changed = "the list of files"
	}
	for _, in := range now {
		if name, isFile := strings.CutPrefix(in.Name, "file "); isFile && !old[in] {
			return name
		}
	}
	return changed
}

// differs describes how an input differs.
func differs(in Input, before string, was bool) string {
	kind, name, _ := strings.Cut(in.Name, " ")
	switch {
	case kind == "parent":
		return ParentChanged
	case kind == "file" && !was:
		return name + " is new"
	case kind == "file":
		return name + " changed (" + fileDifference(before, in.Value) + ")"
	case kind == "ARG" && was:
		return fmt.Sprintf("ARG %s %s → %s", name, shorten(before), shorten(in.Value))
	case kind == "base" && was:
		return fmt.Sprintf("base image %s: %s → %s", name, shortID(before), shortID(in.Value))
	case !was:
		return in.Name + " is new"
	}
	return "its " + in.Name + " changed"
}

// shortID returns the beginning of a digest.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(4, len(id))] + "…"
}

// shorten cuts a value to fit into a line.
func shorten(value string) string {
	value = strings.TrimPrefix(value, "sha256:")
	if len(value) > 24 {
		return value[:12] + "…"
	}
	return value
}

// fileDifference compares two values of a file.
func fileDifference(before, now string) string {
	a, b := strings.SplitN(before, " ", 4), strings.SplitN(now, " ", 4)
	if len(a) < 3 || len(b) < 3 {
		return "content"
	}
	var list []string
	if a[0] != b[0] {
		list = append(list, "mode")
	}
	if a[1] != b[1] || a[2] != b[2] {
		list = append(list, "owner")
	}
	if !slices.Equal(a[3:], b[3:]) {
		list = append(list, "content")
	}
	return strings.Join(list, ", ")
}
