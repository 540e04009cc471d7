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

// Start makes a copy of a stage in a directory outside the repository: a whole Go module under
// a git of its own, with the tools that the stage imports. The module has the repository's name
// and a tool its place, so that paths of imports stay as they are. Tests are left out: they are
// about the stage as it is, and some need the repository. A directory in which something is
// stays as it is, and one that could not be filled is removed.
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
	used, err := copyStage(ctx, root, stage, dir)
	if err != nil {
		return err
	}
	if err := makeModule(ctx, root, used, dir); err != nil {
		return err
	}
	return makeHistory(ctx, stage, dir)
}

// vacant reports why a directory cannot become a copy.
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

// copyStage copies the stage's own files, which are all in one directory, to dir, and each
// package of the repository that they import to where it is in the repository: a path below dir.
// It returns the modules that these packages are of.
func copyStage(ctx context.Context, root string, stage stages.Stage, dir string) (used []string, err error) {
	listed, err := command(ctx, stage.Dir, "go", "list", "-deps", "-json=ImportPath,EmbedFiles,Module", ".")
	if err != nil {
		return nil, err
	}
	for packages := json.NewDecoder(strings.NewReader(listed)); packages.More(); {
		var p struct {
			ImportPath string
			EmbedFiles []string
			Module     struct {
				Main bool
				Path string
			}
		}
		if err := packages.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list -json: %w", err)
		}
		used = append(used, p.Module.Path)
		if !p.Module.Main {
			continue
		}
		place := strings.TrimPrefix(p.ImportPath, p.Module.Path+"/")
		to := filepath.Join(dir, place)
		if place == stage.Name() {
			to = dir
		}
		if err := copyPackage(filepath.Join(root, place), p.EmbedFiles, to); err != nil {
			return nil, err
		}
	}
	return used, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("/box\n"), 0o644)
}

// copyPackage copies the files of a directory, and what it embeds from those below it. Tests
// are left out.
func copyPackage(from string, embedded []string, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	names := embedded
	for _, entry := range entries {
		if entry.Type().IsRegular() && !strings.HasSuffix(entry.Name(), "_test.go") {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeModule gives the copy the repository's go.mod and go.sum, without the modules that the
// stage does not use.
func makeModule(ctx context.Context, root string, used []string, dir string) error {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	text, err := command(ctx, dir, "go", "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var module struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return fmt.Errorf("go mod edit -json: %w", err)
	}
	edit := []string{"mod", "edit"}
	for _, r := range module.Require {
		if !slices.Contains(used, r.Path) {
			edit = append(edit, "-droprequire="+r.Path)
		}
	}
	if len(edit) > 2 {
		_, err = command(ctx, dir, "go", edit...)
	}
	return err
}

// makeHistory puts the copy under git, as one commit without an author, whatever the user's git
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
