package dockerfile

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"stagebox/stage04-unionfs/nearest"
)

// Target returns the stage that --target names, by its name or number, or the last stage for "".
func (f *File) Target(name string) (*Stage, error) {
	if name == "" {
		return f.Stages[len(f.Stages)-1], nil
	}
	if s := f.StageNamed(name); s != nil {
		return s, nil
	}
	names := []string{}
	for i, s := range f.Stages {
		if name == fmt.Sprint(i) {
			return s, nil
		}
		names = append(names, cmp.Or(s.Name, fmt.Sprint(i)))
	}
	return nil, fmt.Errorf("--target %s: no stage has this name or number; available: %s%s",
		name, strings.Join(names, ", "), nearest.Hint(name, names))
}

// NearestStage returns the name of a stage that looks like a word, "" if none does.
func (f *File) NearestStage(word string) string {
	var names []string
	for _, s := range f.Stages {
		names = append(names, s.Name)
	}
	return nearest.To(word, names)
}

// Label is the name of a stage where steps are shown: "" if there is only one and it has no name.
func (f *File) Label(s *Stage) string {
	if s.Name != "" {
		return s.Name
	}
	if len(f.Stages) > 1 {
		return fmt.Sprintf("stage-%d", s.Index)
	}
	return ""
}

// BaseOf returns the FROM of a stage with its variables replaced, whose values globals has.
func (f *File) BaseOf(s *Stage, globals map[string]string) (string, error) {
	base, err := Expand(s.Base, f.Escape, LookupIn(globals))
	if err == nil && base == "" {
		err = fmt.Errorf("FROM %s is empty when its variables are replaced", s.Base)
	}
	if err != nil {
		return "", s.From.ErrorAt(s.Base, "%v", err)
	}
	return base, nil
}

// PlatformOf returns FROM --platform with its variables replaced; "" if the flag is not there.
func (f *File) PlatformOf(from *Instruction, globals map[string]string) (string, error) {
	flag := from.Flag("platform")
	if flag == "" {
		return "", nil
	}
	text, err := Expand(flag, f.Escape, LookupIn(globals))
	if err == nil && text == "" {
		err = errors.New("it is empty when its variables are replaced")
	}
	return text, err
}

// Needs returns the stages that a stage refers to: that of its FROM, and those of --from and of
// mounts.
func (f *File) Needs(s *Stage, globals map[string]string) (list []*Stage) {
	if base, err := f.BaseOf(s, globals); err == nil {
		if parent := f.Parent(s, base); parent != nil {
			list = append(list, parent)
		}
	}
	for _, in := range s.Steps {
		for _, ref := range in.Refs() {
			if from, err := f.StageFor(in, ref); err == nil && from != nil {
				list = append(list, from)
			}
		}
	}
	return list
}

// Count returns how many steps a stage and all that it needs have, and how many of them are
// ONBUILD steps of the base of each. onBuild returns the latter for an image.
func (f *File) Count(target *Stage, globals map[string]string, onBuild func(image string) int) (
	steps int, triggers map[*Stage]int) {
	triggers = map[*Stage]int{}
	var visit func(s *Stage)
	visit = func(s *Stage) {
		if _, seen := triggers[s]; seen {
			return
		}
		triggers[s] = f.triggersOf(s, globals, onBuild)
		steps += 1 + len(s.Steps) + triggers[s]
		for _, needed := range f.Needs(s, globals) {
			visit(needed)
		}
	}
	visit(target)
	return steps, triggers
}

// triggersOf returns how many ONBUILD steps a stage begins with.
func (f *File) triggersOf(s *Stage, globals map[string]string, onBuild func(image string) int) (n int) {
	base, err := f.BaseOf(s, globals)
	if err != nil {
		return 0
	}
	parent := f.Parent(s, base)
	if parent == nil {
		return onBuild(base)
	}
	for _, in := range parent.Steps {
		if in.Name == "ONBUILD" {
			n++
		}
	}
	return n
}
