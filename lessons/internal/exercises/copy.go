package exercises

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/lessons/internal/stages"
)

// Start makes a copy of a stage in a directory outside the repository: a whole Go module
// named box, under a git of its own. The stage's tests are left out: they are about the
// stage as it is, and some need the repository. A directory in which something is stays as
// it is, and one that could not be filled is removed.
func Start(ctx context.Context, root string, stage stages.Stage, dir string) (err error) {
	if err := vacant(root, dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := copyStage(stage, dir); err != nil {
		return err
	}
	if err := makeModule(ctx, root, stage, dir); err != nil {
		return err
	}
	return makeHistory(ctx, stage, dir)
}

// vacant tells why a directory cannot become a copy.
func vacant(root, dir string) error {
	parent, err := existing(dir)
	if err != nil {
		return err
	}
	inside, err := filepath.Rel(root, parent)
	if err == nil && inside != ".." && !strings.HasPrefix(inside, "../") {
		return fmt.Errorf("%s is inside the repository, which would take it for its own: name a directory outside", dir)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is there already, and what is in it stays: go on with it, remove it, or name another directory", dir)
	}
	return nil
}

// existing is the real path of the nearest directory at or above dir that exists.
func existing(dir string) (string, error) {
	for {
		real, err := filepath.EvalSymlinks(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return real, err
		}
		dir = filepath.Dir(dir)
	}
}

// copyStage copies the stage's own files, which are all in one directory.
func copyStage(stage stages.Stage, dir string) error {
	entries, err := os.ReadDir(stage.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(stage.Dir, entry.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("/box\n"), 0o644)
}

// makeModule gives the copy the repository's go.mod and go.sum, under another name and
// without the modules that the stage does not use.
func makeModule(ctx context.Context, root string, stage stages.Stage, dir string) error {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	listed, err := command(ctx, stage.Dir, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	if err != nil {
		return err
	}
	text, err := command(ctx, dir, "go", "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var module struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return fmt.Errorf("go mod edit -json: %w", err)
	}
	edit := []string{"mod", "edit", "-module=box"}
	used := strings.Fields(listed)
	for _, r := range module.Require {
		if !slices.Contains(used, r.Path) {
			edit = append(edit, "-droprequire="+r.Path)
		}
	}
	_, err = command(ctx, dir, "go", edit...)
	return err
}

// makeHistory puts the copy under git, as one commit of nobody's, whatever the user's git
// is set to do with commits.
func makeHistory(ctx context.Context, stage stages.Stage, dir string) error {
	git := []string{"-c", "init.defaultBranch=main", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false",
		"-c", "user.name=Stagebox", "-c", "user.email=stagebox@localhost"}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", stage.Name() + " as it is in the lessons"}} {
		if _, err := command(ctx, dir, "git", append(slices.Clone(git), args...)...); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program in a directory and returns what it prints.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s, in %s: %w\n%s", strings.Join(append([]string{name}, args...), " "), dir, err, errs.String())
	}
	return string(out), nil
}
