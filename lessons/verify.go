package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/verify"
)

// verifyCmd checks that the copies and the prose are true.
type verifyCmd struct {
	Only   string `help:"Check only this rule: ${rules}." placeholder:"RULE"`
	Lesson int    `help:"Run only the transcripts of this lesson." placeholder:"N"`
}

// Run is `lessons verify`.
func (c *verifyCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	if names := verify.RuleNames(); c.Only != "" && !slices.Contains(names, c.Only) {
		return fmt.Errorf("there is no rule %q: the rules are %s", c.Only, strings.Join(names, ", "))
	}
	wrong := 0
	for _, rule := range verify.Rules {
		if c.Only != "" && c.Only != rule.Name || c.Lesson != 0 {
			continue
		}
		found, err := rule.Check(root, all)
		if err != nil {
			return fmt.Errorf("%s: %w", rule.Name, err)
		}
		wrong += show(rule.Name, fmt.Sprintf("%d stages", len(all)), found)
		if err := left(rule, all); err != nil {
			return err
		}
	}
	if c.Only == "" || c.Only == "transcripts" {
		found, steps, err := verify.Transcripts(root, all, c.Lesson)
		if err != nil {
			return err
		}
		wrong += show("transcripts", fmt.Sprintf("%d steps", steps), found)
	}
	if wrong > 0 {
		return errors.New("what is listed above is not as it should be")
	}
	return nil
}

// left prints what a rule's exceptions are. They are not findings.
func left(rule verify.Rule, all []stages.Stage) error {
	if rule.Left == nil {
		return nil
	}
	list, err := rule.Left(all)
	for _, line := range list {
		fmt.Println("   excepted:", line)
	}
	return err
}

// show prints a rule and its findings, and returns how many.
func show(rule, of string, found []verify.Finding) int {
	fmt.Printf("%-12s %s, %d findings\n", rule, of, len(found))
	for _, f := range found {
		fmt.Println("  ", f)
	}
	return len(found)
}
