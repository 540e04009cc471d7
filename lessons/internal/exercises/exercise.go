// Package exercises holds what a student may try: which exercises there are, the copy of a
// stage that a student works in, and how a solution is checked. The checks are rows of the
// behaviour suite, run on the student's binary: an exercise only names them.
//
// The task and the hints of an exercise are in lessons/exercises, a page each, and beside
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

	// Break is set when a protection is to be removed: the rows are attacks, and what is seen must
	// match this regular expression, which says that one got through.
	Break string

	Excused []string // rows of the stage about the same protection, and may fail without it
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
}, {
	Name: "3a", Stage: 3,
	Rows: []string{"what a container writes and removes changes no layer", "--layer: all layers are seen as one, a higher file before a lower one"},
}, {
	Name: "3b", Stage: 3, Break: `printed "got in"`,
	Rows: []string{"settings of the host in /proc/sys cannot be written"},
}, {
	Name: "3c", Stage: 3, Break: `printed "got in"`,
	Rows:    []string{"the keys of the session cannot be used", "no user namespace can be made"},
	Excused: []string{"a filter of system calls is in force", "a seccomp profile of one's own decides over each system call and its arguments"},
}, {
	Name: "4a", Stage: 4,
	Rows: []string{"tiny is an image that needs no registry", "exercise 4a: what a container of tiny writes, the next one does not see"},
}, {
	Name: "4b", Stage: 4, Break: "^got in",
	Rows:    []string{"exercise 4b: no volume's name leads out of the store"},
	Excused: []string{"names that are taken or malformed, layers that cannot be, containers that are not there: a sentence"},
}, {
	Name: "5a", Stage: 5,
	Rows: []string{"build: steps that change files are layers, and the last is what run begins with"},
}, {
	Name: "5b", Stage: 5, Break: `^exit 0, printed "Loaded image`,
	Rows: []string{"load takes an archive of Docker's from a pipe, and refuses one whose layers are not what it says"},
}, {
	Name: "6a", Stage: 6,
	Rows: []string{"cache: a step that has not changed is not run, also when files were written again",
		"cache: a file that has changed runs its COPY and all below, and nothing above"},
}, {
	Name: "6b", Stage: 6, Break: "^got in",
	Rows: []string{"exercise 6b: a Dockerfile does not decide that its steps have all capabilities"},
}, {
	Name: "7a", Stage: 7,
	Rows: []string{"exercise 7a: --network bridge is a cable to the host, and leaves nothing"},
}, {
	Name: "7b", Stage: 7, Break: `printed "text"`,
	Rows: []string{"exercise 7b: a file whose time was set back has changed all the same"},
}, {
	Name: "8a", Stage: 8,
	Rows: []string{"exercise 8a: pids lists a container's processes by their numbers on the host and inside, and no others"},
}, {
	Name: "8b", Stage: 8, Break: "^web sees ",
	Rows:    []string{"exercise 8b: nobody in another network reaches a port that was not published"},
	Excused: []string{"networks are apart, and an internal one has no way out"},
}, {
	Name: "9a", Stage: 9,
	Rows: []string{"exercise 9a: the daemon answers with the picture that inspect draws"},
}, {
	Name: "9b", Stage: 9, Break: "^got in",
	Rows: []string{"exercise 9b: a client does not read the environment of the daemon"},
}}
