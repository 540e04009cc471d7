// Why a step is not in the cache. The inputs of the step at each place of a Dockerfile are kept
// (cache/slots), and the next ones are compared with them.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/state"
)

// slotted is the last key and inputs of the step at a place.
type slotted struct {
	Key    string
	Inputs []input
}

// rememberInputs writes the inputs of the step at this place, for the next reason. If they are
// there already, the beginning of the file shows it.
func (c *cacheStep) rememberInputs() error {
	begin := `{"Key":"` + c.key + `"`
	if file, err := os.Open(c.slot); err == nil {
		is := make([]byte, len(begin))
		n, errRead := file.Read(is)
		complain(file.Close())
		if errRead == nil && string(is[:n]) == begin {
			return nil
		}
	}
	data, err := json.Marshal(slotted{c.key, c.inputs})
	if err != nil {
		return err
	}
	return state.Write(c.slot, data, 0o600, state.Volatile)
}

// reason returns why a step is not in the cache: how its inputs differ from the last ones, or if
// they do not, what is wrong with its entry.
func (b *builder) reason(c *cacheStep, wrong string) string {
	var before slotted
	if err := state.ReadJSON(c.slot, &before); err != nil {
		return isNew
	}
	if before.Key == c.key {
		return wrong
	}
	old := map[string]string{}
	for _, in := range before.Inputs {
		old[in.Name] = in.Value
	}
	var reasons []string
	for _, in := range c.inputs {
		value, was := old[in.Name]
		delete(old, in.Name)
		switch {
		case was && value == in.Value:
		case in.Name == "instruction":
			return "instruction changed" // and with it everything that it needs
		default:
			reasons = append(reasons, in.differs(value, was))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		reasons = append(reasons, input{Name: name}.gone())
	}
	if len(reasons) > 1 {
		reasons = slices.DeleteFunc(reasons, func(r string) bool { return r == parentChanged })
	}
	if len(reasons) > 3 {
		reasons = append(reasons[:3], fmt.Sprintf("and %d more", len(reasons)-3))
	}
	return strings.Join(reasons, "; ")
}

const (
	isNew         = "it is new"
	noCache       = "--no-cache"
	parentChanged = "parent changed"
)

// differs describes how an input differs.
func (in input) differs(before string, was bool) string {
	kind, name, _ := strings.Cut(in.Name, " ")
	switch {
	case kind == "parent":
		return parentChanged
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

// gone describes an input that there was before.
func (in input) gone() string {
	kind, name, _ := strings.Cut(in.Name, " ")
	if kind == "file" {
		return name + " is gone"
	}
	return in.Name + " is gone"
}

// shorten cuts a value to fit into a line.
func shorten(value string) string {
	value = strings.TrimPrefix(value, "sha256:")
	if len(value) > 24 {
		return value[:12] + "…"
	}
	return value
}

// fileDifference compares two values of a file input.
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
