// Package stages finds the stage directories of the repository and builds them.
//
// A stage is a directory named stageNN-capability that holds one whole program,
// `package main`. Packages below it are tools, which the stage introduces and later ones
// import. Nothing here knows how many stages there are.
package stages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Stage is one numbered program of the repository.
type Stage struct {
	Number int    // 1 for stage01-namespaces
	Topic  string // "namespaces"
	Dir    string // absolute path of its directory
}

var dirName = regexp.MustCompile(`^stage(\d\d)-([a-z0-9]+)$`)

// Name returns the directory's name, such as "stage01-namespaces".
func (s Stage) Name() string { return filepath.Base(s.Dir) }

// Lesson returns the path of the stage's lesson below the repository root.
func (s Stage) Lesson() string { return fmt.Sprintf("lessons/%02d-%s.md", s.Number, s.Topic) }

// Files returns the names of the Go files in the stage's directory, sorted: those of the
// lesson and of the commands. Tests are among them only when asked for.
func (s Stage) Files(tests bool) ([]string, error) { return goFiles(s.Dir, tests) }

// Build compiles the stage as the static binary that the README describes.
func (s Stage) Build(ctx context.Context, binary string) error {
	for _, dir := range s.toolDirs() {
		look(dir)
	}
	return Compile(ctx, s.Dir, ".", binary)
}

// Sources are the directories whose files make the stage's program: its own, and those of the
// tools of earlier stages.
func (s Stage) Sources() []string { return append([]string{s.Dir}, s.toolDirs()...) }

// toolDirs are the directories of the tools that earlier stages introduce. A file that cannot be read
// is left to the compiler.
func (s Stage) toolDirs() (dirs []string) {
	all, _ := All(filepath.Dir(s.Dir)) // a stage that stands alone has none before it
	for _, earlier := range all {
		if earlier.Number >= s.Number {
			break
		}
		tools, _ := earlier.Tools() // the compiler says what is wrong
		for _, t := range tools {
			dirs = append(dirs, t.Dir())
		}
	}
	return dirs
}

// Workbench compiles this repository's command lessons, as a program that needs no other file.
func Workbench(ctx context.Context, root, binary string) error {
	return Compile(ctx, root, "./lessons", binary)
}

// Compile compiles a package of the directory dir. It is linked only when something in it has
// changed: `go run` keeps the programs that it links, which `go build` does not, and -exec has
// it copy the program in place of running it. The state of git is left out: root would be
// refused in another user's checkout.
func Compile(ctx context.Context, dir, pkg, binary string) error {
	look(filepath.Join(dir, pkg))
	cmd := exec.CommandContext(ctx, "go", "run", "-buildvcs=false", "-exec", "install -D", pkg, binary)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	// Killed, go would leave its directories, and install, which makes the binary's again.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, time.Minute
	if out, err := cmd.CombinedOutput(); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", filepath.Base(filepath.Join(dir, pkg)), err, out)
	}
	return nil
}

// look reads the directories of a program. go test repeats the result of a test whose files
// are as they were, and it takes notice of those that the test opens, not of the compiler's.
func look(dir string) {
	filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { return nil }) // the compiler says what is wrong
}

// All returns the stages below the repository root, in their order.
// A gap in the numbers is an error: every stage is compared with the one before.
func All(root string) ([]Stage, error) {
	entries, err := os.ReadDir(root) // sorted by name, which sorts by number
	if err != nil {
		return nil, err
	}
	var all []Stage
	for _, entry := range entries {
		m := dirName.FindStringSubmatch(entry.Name())
		if m == nil || !entry.IsDir() {
			continue
		}
		number, _ := strconv.Atoi(m[1]) // two digits, by the expression above
		if number != len(all)+1 {
			return nil, fmt.Errorf("%s: expected stage%02d here: the stages are numbered without gaps", entry.Name(), len(all)+1)
		}
		all = append(all, Stage{Number: number, Topic: m[2], Dir: filepath.Join(root, entry.Name())})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no stage: run this inside the repository", root)
	}
	return all, nil
}

// Get returns stage n of the repository at root.
func Get(root string, n int) (Stage, error) {
	all, err := All(root)
	if err != nil {
		return Stage{}, err
	}
	if n < 1 || n > len(all) {
		return Stage{}, fmt.Errorf("there is no stage %d: the stages are 1 to %d", n, len(all))
	}
	return all[n-1], nil
}

// Root returns the repository's root: the directory at or above the working
// directory that holds go.mod and lessons.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "go.mod")) && exists(filepath.Join(dir, "lessons")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod beside a lessons directory here or above: run this inside the repository")
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
