package stages

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// passing is what a run makes up, a name or an address: two runs of one stage differ in it.
var passing = regexp.MustCompile(`\b(box-)(?:[0-9a-f]{12}|\d+)\b|(/containers/)[0-9a-f]{12,}|(filter=)0x[0-9a-f]+`)

// Plan is the list of system calls with which the stage would run `true`, a line each, as
// `box run --dry-run --explain` prints it, with the title of each section above it. The stage is built in dir, which must exist. What differs
// from run to run is replaced: names and addresses by ID, the root's path by /tmp/tiny.
func (s Stage) Plan(ctx context.Context, dir string) ([]string, error) {
	binary := filepath.Join(dir, s.Name())
	if err := s.Build(ctx, binary); err != nil {
		return nil, err
	}
	args := []string{"run", "--dry-run", "--explain", "true"}
	root := filepath.Join(dir, "tiny")
	if s.Number >= 3 { // from here on a container has a root of its own
		if out, err := exec.CommandContext(ctx, binary, "rootfs", root).CombinedOutput(); err != nil && s.Number == 3 {
			return nil, fmt.Errorf("%s rootfs: %w: %s", s.Name(), err, out)
		}
		args = []string{"run", "--rootfs", root, "--dry-run", "--explain", "true"}
	}
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", s.Name(), strings.Join(args, " "), err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(out)), root, "/tmp/tiny")
	return align(strings.Split(passing.ReplaceAllString(text, "$1$2${3}ID"), "\n")), nil
}

var reason = regexp.MustCompile(`^(.*?) {2,}(# .*)$`)

// Title is the title of a section if that is what a line of a plan is.
func Title(line string) (title string, is bool) { return strings.CutPrefix(line, "── ") }

// align puts the reasons in one column again, which names of other lengths have moved.
func align(lines []string) []string {
	for i, line := range lines {
		if m := reason.FindStringSubmatch(line); m != nil {
			lines[i] = fmt.Sprintf("%-76s  %s", m[1], m[2])
		}
	}
	return lines
}
