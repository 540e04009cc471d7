package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"stagebox/lessons/internal/carry"
	"stagebox/lessons/internal/stages"
)

// carryCmd takes a change through the later stages.
type carryCmd struct {
	Stage  int    `arg:"" help:"Stage in which something was changed."`
	Since  string `help:"Git revision to carry changes since." default:"HEAD" placeholder:"REV"`
	NoTest bool   `help:"Build and vet the stages without testing them."`
}

// Help is shown below the flags.
func (carryCmd) Help() string {
	return `Merges what changed in the stage since a revision into every later stage, in order, and
tests each. It stops at the first conflict. Mend the file that it names, then carry on from
there: the mended stage's change is what the stages after it get. A tool, a package below the
stage's directory, is not merged: later stages import it, and are only tested with the change.`
}

// Run is `lessons carry`.
func (c *carryCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	from, err := stages.Get(root, c.Stage)
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	ctx := context.Background()
	changes, err := carry.Changes(ctx, root, from, c.Since)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		fmt.Printf("%s is as it was at %s: nothing to carry\n", from.Name(), c.Since)
		return nil
	}
	flat, tools, err := carry.Split(from, changes)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		fmt.Printf("%s/%s: a tool, of which there is one copy: the later stages have the change already\n", from.Name(), tool)
	}
	for _, later := range all[c.Stage:] {
		n, err := carry.Into(ctx, later, flat)
		if err != nil {
			return fmt.Errorf("%w\nMend that, then: go run ./lessons carry %d --since %s", err, later.Number, c.Since)
		}
		fmt.Printf("%s: %d files merged, %d copied, %d deleted", later.Name(), n.Merged, n.Copied, n.Deleted)
		if err := c.test(later); err != nil {
			return fmt.Errorf("%s does not pass with the change: %w\nMend that, then: go run ./lessons carry %d --since %s", later.Name(), err, later.Number, c.Since)
		}
	}
	return nil
}

// test vets a stage, which builds it, and runs its tests.
func (c *carryCmd) test(stage stages.Stage) error {
	steps := [][]string{{"vet", "."}, {"test", "."}}
	if c.NoTest {
		steps = steps[:1]
	}
	for _, args := range steps {
		cmd := exec.Command("go", args...)
		cmd.Dir = stage.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Println()
			os.Stdout.Write(out)
			return fmt.Errorf("go %s: %w", args[0], err)
		}
	}
	if c.NoTest {
		fmt.Println(", builds")
	} else {
		fmt.Println(", tests pass")
	}
	return nil
}
