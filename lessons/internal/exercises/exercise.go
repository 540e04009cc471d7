// Package exercises holds what a student may try: which exercises there are, the copy of a
// stage that a student works in, and how a solution is checked. The checks are rows of the
// behaviour suite, run on the student's binary: an exercise only names them.
//
// The task and the hints of an exercise stand in lessons/exercises, a page each, and beside
// it the solution that was kept, as a patch.
package exercises

import (
	"fmt"
	"slices"
	"strings"
)

// Exercise is one thing to try in a copy of a stage.
type Exercise struct {
	Name  string   // "3a": the stage, and a letter
	Stage int      // whose copy it is for
	Rows  []string // names of rows of the behaviour suite: what it is about

	// Break is set when a wall is to be taken down: the rows are attacks, and what is seen must
	// match this regular expression, which says that one got through.
	Break string

	Excused []string // rows of the stage that speak of the same wall, and may fail without it
	Maker   bool     // the rows need a root, which only the next stage's binary can make
}

// Get finds an exercise by its name.
func Get(name string) (Exercise, error) {
	i := slices.IndexFunc(All, func(e Exercise) bool { return e.Name == strings.ToLower(name) })
	if i >= 0 {
		return All[i], nil
	}
	names := make([]string, len(All))
	for i, e := range All {
		names[i] = e.Name
	}
	return Exercise{}, fmt.Errorf("there is no exercise %q: there are %s", name, strings.Join(names, " "))
}

// Of returns the exercises of a stage.
func Of(stage int) []Exercise {
	return slices.DeleteFunc(slices.Clone(All), func(e Exercise) bool { return e.Stage != stage })
}

// All are the exercises, in the order of the lessons.
var All = []Exercise{{
	Name: "1a", Stage: 1,
	Rows: []string{"--oom-score-adj is the command's"},
}, {
	Name: "1b", Stage: 1,
	Rows: []string{"--pids-limit is the group's limit", "exercise 1b: the group of --pids-limit is gone after the container"},
}, {
	Name: "1c", Stage: 1, Break: `(^| )9( |$)`,
	Rows:    []string{"the command has no descriptor but the three standard ones"},
	Excused: []string{"exec's command has no descriptor but the three standard ones"},
}, {
	Name: "2a", Stage: 2, Maker: true,
	Rows: []string{"--rootfs is the whole of what is seen", "the container's processes are all that its /proc shows",
		"a program that breaks out of chroot finds itself in the container's root"},
}, {
	Name: "2b", Stage: 2, Break: `^exit 0; pids\.events max 0`,
	Rows:    []string{"a fork beyond --pids-limit is refused, and the kernel has counted it"},
	Excused: []string{"exec's command is in the container's groups"},
}}
