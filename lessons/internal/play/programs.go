package play

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"stagebox/lessons/internal/stages"
)

// lessonPrograms are what lessons have one build besides box, below the directory lessons.
var lessonPrograms = []string{"escape", "web", "ask", "smallest"}

// Programs are the programs of the repository that a machine gets, built.
type Programs struct {
	dir    string
	stages []stages.Stage
}

// ProgramsDir is where this user's programs of this tree are kept.
func ProgramsDir() (string, error) {
	root, err := stages.Root()
	if err != nil {
		return "", err
	}
	return cacheDir("programs-" + fmt.Sprintf("%x", sha256.Sum256([]byte(root)))[:12])
}

// MakePrograms builds the boxes of all stages, the lessons' programs and the agent, in a directory
// where go build leaves what is up to date as it is.
func MakePrograms(ctx context.Context, dir string) (Programs, error) {
	root, err := stages.Root()
	if err != nil {
		return Programs{}, err
	}
	all, err := stages.All(root)
	if err != nil {
		return Programs{}, err
	}
	// Without symbols: the kernel unpacks all of it at boot.
	args := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + "/", "./lessons/internal/agent/program"}
	for _, s := range all {
		args = append(args, "./"+s.Name())
	}
	for _, name := range lessonPrograms {
		args = append(args, "./lessons/"+name)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("go build of the stages: %w\n%s", err, out)
	}
	return Programs{dir, all}, nil
}

// path is where a program is on the host.
func (p Programs) path(name string) string { return filepath.Join(p.dir, name) }

// agent is the machine's first process.
func (p Programs) agent() string { return p.path("program") }

// cacheDir is a directory of this user's cache, which is made when it is not there.
func cacheDir(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("a place to keep programs: %w", err)
	}
	dir := filepath.Join(cache, "stagebox", name)
	return dir, os.MkdirAll(dir, 0o755)
}
