package main

import (
	"errors"
	"fmt"

	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/verify"
)

// verifyCmd checks that the copies and the prose are true.
type verifyCmd struct {
	Only   string `help:"Only this rule: names, copies, imports, sizes, functions, references or transcripts." placeholder:"RULE"`
	Lesson int    `help:"Only the transcripts of this lesson." placeholder:"N"`
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

// show prints a rule and its findings, and returns how many.
func show(rule, of string, found []verify.Finding) int {
	fmt.Printf("%-12s %s, %d findings\n", rule, of, len(found))
	for _, f := range found {
		fmt.Println("  ", f)
	}
	return len(found)
}
