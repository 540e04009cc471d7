package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/bench"
	"stagebox/lessons/internal/stages"
)

// benchCmd times box beside other runtimes and builders.
type benchCmd struct {
	Rows   []string `arg:"" optional:"" help:"Rows to time: ${benchrows} (default: all)."`
	Rounds int      `help:"Number of runs of each (default: what the row needs)." placeholder:"N"`
	Many   int      `help:"Number of containers or images in the rows of many (default: 50 at once, 2,000 and 500 in lists)." placeholder:"N"`
	Base   string   `help:"Also time the last stage of this commit, and print ratios to it." placeholder:"COMMIT"`
	Dir    string   `help:"Directory to work in, on the file system to measure." default:"/var/tmp" placeholder:"DIR"`
}

// apart names, in the environment of the run that has namespaces of its own, the directory with the
// boxes to time. They are built before: what an older one needs may have to be downloaded.
const apart = "STAGEBOX_BENCH_APART"

// Run is `lessons bench`.
func (c *benchCmd) Run() error {
	rows, err := c.rows()
	if err != nil {
		return err
	}
	ctx, stop := untilStopped()
	defer stop()
	if dir := os.Getenv(apart); dir != "" {
		if err := hideSecondTree(); err != nil {
			return err
		}
		b := c.boxesIn(dir)
		return errors.Join(c.time(ctx, b, rows), unmount(b.Dir))
	}
	dir, err := os.MkdirTemp(c.Dir, "stagebox-bench-")
	if err != nil {
		return err
	}
	b := c.boxesIn(dir)
	err = c.build(ctx, b)
	switch {
	case err != nil:
	case os.Geteuid() == 0:
		err = again(ctx, dir)
	default:
		err = c.time(ctx, b, rows)
	}
	return errors.Join(err, unmount(dir), os.RemoveAll(dir))
}

// boxesIn says where in a directory the boxes are.
func (c *benchCmd) boxesIn(dir string) *bench.Bench {
	b := &bench.Bench{Dir: dir, Many: c.Many, Third: filepath.Join(dir, "box3"), Last: filepath.Join(dir, "box-last")}
	if c.Base != "" {
		b.Base = filepath.Join(dir, "box-base")
	}
	return b
}

// rows are those that were asked for.
func (c *benchCmd) rows() ([]bench.Row, error) {
	if len(c.Rows) == 0 {
		return bench.Rows, nil
	}
	var rows []bench.Row
	for _, name := range c.Rows {
		i := slices.IndexFunc(bench.Rows, func(r bench.Row) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q: the rows are %s", name, benchRows())
		}
		rows = append(rows, bench.Rows[i])
	}
	return rows, nil
}

// benchRows are the names of all rows.
func benchRows() string {
	var names []string
	for _, r := range bench.Rows {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// again runs this command in a network namespace of its own, so that bridges and rules that box
// makes there go with it, and in a mount namespace of its own.
func again(ctx context.Context, dir string) error {
	self := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	self.Env = append(os.Environ(), apart+"="+dir)
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	self.Cancel = func() error { return self.Process.Signal(unix.SIGTERM) }
	err := self.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitError(exit.ExitCode())
	}
	return err
}

// hideSecondTree takes the tree of cgroup version 2 out of sight where version 1 is mounted too:
// crun 1.8 refuses hosts that have both. It is done in a mount namespace of our own.
func hideSecondTree() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	const second = "/sys/fs/cgroup/unified"
	if err := unix.Unmount(second, 0); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("umount %s: %w", second, err)
	}
	return nil
}

// time prints a table for each row.
func (c *benchCmd) time(ctx context.Context, b *bench.Bench, rows []bench.Row) (err error) {
	giveBack, err := b.Borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, giveBack()) }()
	for _, line := range bench.Versions(ctx) {
		fmt.Println(line)
	}
	for _, row := range rows {
		fmt.Printf("\n%s: %s\n", row.Name, row.About)
		entrants, err := row.Entrants(b, ctx)
		if err != nil {
			fmt.Println("  left out:", err)
			continue
		}
		if missing := b.Missing(ctx, row); len(missing) > 0 {
			fmt.Println("  not beside", strings.Join(missing, "; "))
		}
		rounds := row.Rounds
		if c.Rounds > 0 {
			rounds = c.Rounds
		}
		results, err := bench.Run(ctx, entrants, rounds)
		if err != nil {
			return err
		}
		if err := bench.Print(os.Stdout, results); err != nil {
			return err
		}
	}
	return nil
}

// build makes the boxes, as copies: a program that was just linked starts slower than its copy.
func (c *benchCmd) build(ctx context.Context, b *bench.Bench) error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	fmt.Println("building …")
	if err := errors.Join(all[2].Build(ctx, b.Third), all[len(all)-1].Build(ctx, b.Last)); err != nil || c.Base == "" {
		return err
	}
	return c.buildBase(ctx, b, root)
}

// buildBase builds the last stage of an older commit, from a copy of its files.
func (c *benchCmd) buildBase(ctx context.Context, b *bench.Bench, root string) error {
	source := filepath.Join(b.Dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		return err
	}
	unpack := exec.CommandContext(ctx, "sh", "-c", `git -C "$0" archive "$1" | tar -C "$2" -x`, root, c.Base, source)
	if out, err := unpack.CombinedOutput(); err != nil {
		return fmt.Errorf("--base %s: git archive: %w: %s", c.Base, err, strings.TrimSpace(string(out)))
	}
	older, err := stages.All(source)
	if err != nil {
		return fmt.Errorf("--base %s: %w", c.Base, err)
	}
	return older[len(older)-1].Build(ctx, b.Base)
}

// unmount takes away mounts in a store that was left in a hurry: RemoveAll says what is still in the
// way.
func unmount(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(words[1], dir+"/") {
			unix.Unmount(words[1], unix.MNT_DETACH)
		}
	}
	return nil
}
