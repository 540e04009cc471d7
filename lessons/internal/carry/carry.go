// Package carry takes what changed in one stage through the later ones. A fault is fixed
// in the first stage that has it; each later stage is a copy with additions, so the fix
// is merged into it three ways: the file as it was, as it is now, and the stage's own.
// A tool exists once and is imported by the later stages: it needs no carrying.
package carry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"stagebox/lessons/internal/stages"
)

// Change is a file of a stage, as it was at a revision and as it is in the working tree.
// A side is nil where the file did not or does not exist.
type Change struct {
	Name          string // below the stage's directory
	Before, After []byte
}

// Conflict is a change that conflicts with a stage's own additions.
type Conflict struct {
	Stage stages.Stage
	File  string
	Lines []int  // where the markers are, from 1; none when the file could not be merged at all
	Why   string // when there are no markers
}

// Error says where, and for markers, which lines.
func (c *Conflict) Error() string {
	path := filepath.Join(c.Stage.Name(), c.File)
	if c.Why != "" {
		return path + ": " + c.Why
	}
	return fmt.Sprintf("%s: conflict at line %s", path, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(c.Lines)), ", "), "[]"))
}

// Changes are the files of a stage that differ from those at a revision of git.
func Changes(ctx context.Context, root string, stage stages.Stage, since string) ([]Change, error) {
	before, err := filesAt(ctx, root, stage, since)
	if err != nil {
		return nil, err
	}
	after, err := filesNow(stage.Dir)
	if err != nil {
		return nil, err
	}
	var list []Change
	for name, text := range after {
		if !bytes.Equal(before[name], text) || before[name] == nil {
			list = append(list, Change{name, before[name], text})
		}
	}
	for name, text := range before {
		if after[name] == nil {
			list = append(list, Change{name, text, nil})
		}
	}
	return list, nil
}

// Split parts changes into those to carry and the names of tools that have changed, sorted.
func Split(stage stages.Stage, changes []Change) (flat []Change, tools []string, err error) {
	now, err := stage.Tools()
	if err != nil {
		return nil, nil, err
	}
	known := map[string]bool{} // directories of tools, also of one that is gone
	for _, t := range now {
		known[t.Name] = true
	}
	for _, c := range changes {
		if dir := path.Dir(c.Name); strings.HasSuffix(c.Name, ".go") && dir != "." && !inTestdata(c.Name) {
			known[dir] = true
		}
	}
	for _, c := range changes {
		if tool := above(c.Name, known); tool != "" {
			tools = append(tools, tool)
		} else {
			flat = append(flat, c)
		}
	}
	slices.Sort(tools)
	return flat, slices.Compact(tools), nil
}

func inTestdata(name string) bool {
	return slices.Contains(strings.Split(path.Dir(name), "/"), "testdata")
}

// above is the nearest of the known directories that a file is in; "" when it is in none.
func above(name string, known map[string]bool) string {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if known[dir] {
			return dir
		}
	}
	return ""
}

// filesAt are a stage's files at a revision; none when it did not exist then.
func filesAt(ctx context.Context, root string, stage stages.Stage, rev string) (map[string][]byte, error) {
	list, err := git(ctx, root, "ls-tree", "-r", "-z", "--name-only", rev, "--", stage.Name()+"/")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for path := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if path == "" {
			continue
		}
		text, err := git(ctx, root, "show", rev+":"+path)
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(path, stage.Name()+"/")] = append([]byte{}, text...)
	}
	return files, nil
}

func filesNow(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		files[name] = append([]byte{}, text...)
		return err
	})
	return files, err
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}

// Count says what became of the changes in a stage.
type Count struct{ Merged, Copied, Deleted int }

// Into carries changes into a later stage. Every file but the one in conflict is then as
// it should be; that one holds the markers of git merge-file.
func Into(ctx context.Context, stage stages.Stage, changes []Change) (Count, error) {
	var n Count
	var conflicts []error
	for _, c := range changes {
		var conflict *Conflict
		switch err := c.into(ctx, stage, &n); {
		case errors.As(err, &conflict):
			conflicts = append(conflicts, conflict)
		case err != nil:
			return n, err
		}
	}
	return n, errors.Join(conflicts...)
}

func (c Change) isTest() bool {
	return strings.HasSuffix(c.Name, "_test.go") || strings.HasPrefix(c.Name, "testdata/")
}

// into carries one change into a stage.
func (c Change) into(ctx context.Context, stage stages.Stage, n *Count) error {
	path := filepath.Join(stage.Dir, c.Name)
	ours, err := os.ReadFile(path)
	missing := errors.Is(err, os.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	conflict := func(why string) error { return &Conflict{Stage: stage, File: c.Name, Why: why} }
	switch {
	case missing && c.After == nil, !missing && c.After != nil && bytes.Equal(ours, c.After):
		return nil // this stage has it already
	case missing && c.isTest():
		return nil // a topic's tests stay with the stage that brings it
	case missing && c.Before != nil:
		return conflict("the stage has no such file, and the change needs one")
	case c.After == nil && bytes.Equal(ours, c.Before):
		n.Deleted++
		return os.Remove(path)
	case c.After == nil:
		return conflict("deleted before, but this stage has changes of its own in it")
	case missing || bytes.Equal(ours, c.Before):
		n.Copied++
		return replace(path, c.After)
	case c.Before == nil:
		return conflict("new before, but this stage has another file of this name")
	}
	merged, lines, err := merge(ctx, ours, c.Before, c.After)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := replace(path, merged); err != nil {
		return err
	}
	if len(lines) > 0 {
		return &Conflict{Stage: stage, File: c.Name, Lines: lines}
	}
	n.Merged++
	return nil
}

// replace writes a file under a temporary name first, so that none is ever half written.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".carry"
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// merge is git merge-file. It returns the lines of the conflict markers.
func merge(ctx context.Context, ours, base, theirs []byte) ([]byte, []int, error) {
	dir, err := os.MkdirTemp("", "stagebox-carry")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	args := []string{"merge-file", "-p", "--diff3", "-L", "this stage", "-L", "before", "-L", "carried"}
	for name, text := range map[string][]byte{"ours": ours, "base": base, "theirs": theirs} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, nil, err
		}
	}
	cmd := exec.CommandContext(ctx, "git", append(args, "ours", "base", "theirs")...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out, nil, nil
	case errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < 128:
		return out, markers(out), nil
	}
	return nil, nil, fmt.Errorf("git merge-file: %w", err)
}

var marker = regexp.MustCompile(`^<{7} this stage$`)

func markers(text []byte) []int {
	var lines []int
	for i, line := range strings.Split(string(text), "\n") {
		if marker.MatchString(line) {
			lines = append(lines, i+1)
		}
	}
	return lines
}
