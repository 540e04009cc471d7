package stages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the name of the repository's module, with which the path of every import begins.
const Module = "stagebox"

// Tier is one of the three parts that a stage's code has.
type Tier int

const (
	Lesson   Tier = iota // what the stage is about: *.go in its directory
	Commands             // verbs and their flags: cmd_*.go there
	Tools                // packages below it, which later stages import
)

func (t Tier) String() string { return [...]string{"lesson", "commands", "tools"}[t] }

// TierOf is the tier of a file, given by its path below the stage's directory.
func TierOf(name string) Tier {
	switch {
	case strings.Contains(name, "/"):
		return Tools
	case strings.HasPrefix(name, "cmd_"):
		return Commands
	}
	return Lesson
}

// Tool is a package that a stage introduces: what it needs and does not teach. There is one
// copy of it, which later stages import.
type Tool struct {
	Stage Stage
	Name  string // "plan": the directory below the stage's
}

// Dir is the absolute path of the tool's directory.
func (t Tool) Dir() string { return filepath.Join(t.Stage.Dir, t.Name) }

// Path is the tool's directory below the repository's root, "stage01-namespaces/plan".
func (t Tool) Path() string { return path.Join(t.Stage.Name(), t.Name) }

// Import is the path by which the tool is imported, "stagebox/stage01-namespaces/plan".
func (t Tool) Import() string { return path.Join(Module, t.Path()) }

// Files returns the names of the tool's Go files, sorted; tests only when asked for.
func (t Tool) Files(tests bool) ([]string, error) { return goFiles(t.Dir(), tests) }

// Tier returns the names of the stage's Go files in one of the two flat tiers, sorted; tests
// only when asked for. Files returns both.
func (s Stage) Tier(tier Tier, tests bool) ([]string, error) {
	names, err := s.Files(tests)
	return slices.DeleteFunc(names, func(name string) bool { return TierOf(name) != tier }), err
}

// Tools returns the packages that the stage introduces, sorted by name: the directories below
// it that hold Go files that are not tests. Files below a testdata belong to no package.
func (s Stage) Tools() ([]Tool, error) {
	var tools []Tool
	err := filepath.WalkDir(s.Dir, func(dir string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir() || dir == s.Dir:
			return nil
		case entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_"):
			return filepath.SkipDir
		}
		name, err := filepath.Rel(s.Dir, dir)
		if err != nil {
			return err
		}
		files, err := goFiles(dir, false)
		if len(files) > 0 {
			tools = append(tools, Tool{s, filepath.ToSlash(name)})
		}
		return err
	})
	return tools, err
}

// Resolve finds the file that is meant, in the lesson of a stage, by "container.go" or by
// "plan/spawn.go": one of the stage's own, or one of a tool, in the stage that introduces the
// tool. all are the stages; number is the lesson's. It returns the file's absolute path.
func Resolve(all []Stage, number int, name string) (string, error) {
	if TierOf(name) != Tools {
		return all[number-1].has(name)
	}
	for _, s := range all[:number] {
		if exists(filepath.Join(s.Dir, path.Dir(name))) {
			return s.has(name)
		}
	}
	return "", fmt.Errorf("there is no tool %s/ in this stage or one before it", path.Dir(name))
}

// has is the absolute path of a file below the stage's directory.
func (s Stage) has(name string) (string, error) {
	file := filepath.Join(s.Dir, name)
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s/%s", s.Name(), name)
	}
	return file, err
}

// goFiles are the names of a directory's Go files, sorted.
func goFiles(dir string, tests bool) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		if name := filepath.Base(path); tests || !strings.HasSuffix(name, "_test.go") {
			names = append(names, name)
		}
	}
	return names, nil
}
