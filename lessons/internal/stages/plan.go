package stages

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// passing are the names that a run makes up: two runs of one stage differ in them.
var passing = regexp.MustCompile(`\bbox-\d+|/containers/[0-9a-f]{12,}`)

// Plan is the list of system calls with which the stage would run `true`, a line each, as
// `box run --dry-run` prints it. The stage is built in dir, which must exist; names that
// differ from run to run are replaced by ID.
func (s Stage) Plan(ctx context.Context, dir string) ([]string, error) {
	binary := filepath.Join(dir, s.Name())
	if err := s.Build(ctx, binary); err != nil {
		return nil, err
	}
	args := []string{"run", "--dry-run", "true"}
	root := filepath.Join(dir, "tiny")
	if s.Number >= 3 { // from here on a container has a root of its own
		if out, err := exec.CommandContext(ctx, binary, "rootfs", root).CombinedOutput(); err != nil && s.Number == 3 {
			return nil, fmt.Errorf("%s rootfs: %w: %s", s.Name(), err, out)
		}
		args = []string{"run", "--rootfs", root, "--dry-run", "true"}
	}
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", s.Name(), strings.Join(args, " "), err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(out)), root, "/tmp/tiny")
	return strings.Split(passing.ReplaceAllStringFunc(text, nameless), "\n"), nil
}

// nameless keeps what kind of name it was.
func nameless(name string) string {
	if strings.HasPrefix(name, "box-") {
		return "box-ID"
	}
	return "/containers/ID"
}
