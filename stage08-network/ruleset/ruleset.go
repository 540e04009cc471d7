// Package ruleset keeps a table of nf_tables as a program wants it: with these sets, chains and rules,
// and whatever elements the sets hold. It finds out whether the table is there and whole, and makes it
// again with its elements if a rule was removed, or if it is one of an older version of the program.
// A table of the same name that another program has made is left alone.
//
// The kernel is asked, and changed, by functions that the caller gives. Package nft composes the
// messages.
//
// The lesson reads Ruleset.Create, Ruleset.Find and Ruleset.Ready.
package ruleset

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/nft"
)

// Ruleset is a table and all that is in it but the elements.
type Ruleset struct {
	Table  nft.Table
	Sets   []nft.Set
	Chains []nft.Chain
	Rules  func() []Rule

	// Version is that of the sets: a set that is there cannot be changed, so a table of another
	// version is made again. The table's comment is Comment and the version; the first version had
	// no comment.
	Comment string
	Version int

	// Ask returns the bodies of the kernel's answers to a question; flags is 0 or NLM_F_DUMP.
	Ask func(question nft.Message, flags uint16) (bodies [][]byte, err error)

	// Unless makes changes in one transaction, if there were none since a generation; else its error
	// is ERESTART.
	Unless func(generation uint32, changes ...nft.Message) error
}

// Rule is a rule as nft writes it, and its expressions.
type Rule = struct {
	Chain, Text string
	Code        nft.Code
}

// Create makes the whole table, in one transaction. Sending it again is harmless: what exists stays,
// and the rules are removed before they are added again.
func (r *Ruleset) Create() []nft.Message {
	list := []nft.Message{r.Table.Create(fmt.Sprint(r.Comment, r.Version))}
	for i, set := range r.Sets {
		list = append(list, r.Table.AddSet(uint32(i+1), set))
	}
	for _, chain := range r.Chains {
		list = append(list, r.Table.AddChain(chain))
	}
	list = append(list, r.Table.Flush())
	for _, rule := range r.Rules() {
		list = append(list, r.Table.AddRule(rule.Chain, rule.Text, rule.Code))
	}
	return list
}

// Ready reports whether the table is there. If it is of an older version, or a part of it is
// missing, it is made again, with the elements of its sets; when dry, nothing is changed.
func (r *Ruleset) Ready(dry bool) (there bool, err error) {
	for {
		generation, err := r.Generation()
		if err != nil {
			return false, err
		}
		found, whole, err := r.Find()
		if err != nil || !found || whole || dry {
			return found, err
		}
		elements, err := r.In(func(nft.Set) bool { return true })
		if err != nil {
			return false, err
		}
		changes := append([]nft.Message{r.Table.Delete()}, r.Create()...)
		changes = append(changes, r.Table.AddElements(elements)...)
		err = r.Unless(generation, changes...)
		if !errors.Is(err, unix.ERESTART) { // another program was faster: look again
			return err == nil, err
		}
	}
}

// Find reports whether there is a table of this name, and whether it is as Create makes it. One that
// may not be changed is an error, NotOurs.
func (r *Ruleset) Find() (found, whole bool, err error) {
	answer, err := r.Ask(r.Table.Get(), 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, false, nil
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.EOPNOTSUPP):
		return false, false, fmt.Errorf("the kernel has no nf_tables, which bridges and "+
			"published ports need: modprobe nf_tables (%w)", err)
	case errors.Is(err, unix.EPERM):
		return false, false, fmt.Errorf("only root may change the host's network:"+
			" --network none does without (%w)", err)
	case err != nil || len(answer) == 0:
		return false, false, err
	}
	comment, dormant := nft.ReadTable(answer[0])
	same, err := r.isOurs(comment)
	if err != nil || !same || dormant {
		return true, false, err
	}
	whole, err = r.hasRules()
	return true, whole, err
}

// NotOurs is the error of a table that another program, or a newer one, has made.
type NotOurs struct{ Table nft.Table }

func (e NotOurs) Error() string { return "nft delete table inet " + string(e.Table) + " removes it" }

// isOurs reports whether a table's comment is of this version. The first version left none: its
// table is known by its sets.
func (r *Ruleset) isOurs(comment string) (same bool, err error) {
	version := 0
	fmt.Sscanf(comment, r.Comment+"%d", &version)
	for _, s := range r.Sets {
		_, err := r.Ask(r.Table.Elements(s.Name), unix.NLM_F_DUMP)
		if err != nil && version == 0 {
			return false, fmt.Errorf("table inet %s was made by another program; %w",
				r.Table, NotOurs{r.Table})
		}
	}
	if version > r.Version {
		return false, fmt.Errorf("table inet %s was made by a newer box (version %d): use that"+
			" one; %w", r.Table, version, NotOurs{r.Table})
	}
	return version == r.Version, nil
}

// hasRules reports whether the table has each of the rules.
func (r *Ruleset) hasRules() (bool, error) {
	found, err := r.Ask(r.Table.Rules(), unix.NLM_F_DUMP)
	if err != nil {
		return false, fmt.Errorf("the rules of table %s: %w", r.Table, err)
	}
	shapes := map[string]int{}
	for _, body := range found {
		shapes[nft.ReadRule(body)]++
	}
	for _, rule := range r.Rules() {
		shape := nft.Shape(rule.Chain, rule.Code)
		if shapes[shape]--; shapes[shape] < 0 {
			return false, nil
		}
	}
	return true, nil
}

// Generation returns the number of the last change to any table.
func (r *Ruleset) Generation() (uint32, error) {
	answer, err := r.Ask(nft.Generation(), 0)
	if err != nil || len(answer) == 0 {
		return 0, err
	}
	return nft.ReadGeneration(answer[0]), nil
}

// In returns the elements, as the kernel has them, of the sets for which wanted returns true.
func (r *Ruleset) In(wanted func(nft.Set) bool) (list []nft.Element, err error) {
	for _, s := range r.Sets {
		if !wanted(s) {
			continue
		}
		elements, err := r.Elements(s.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, elements...)
	}
	return list, nil
}

// Elements returns the elements of a set or map, none if there is no table.
func (r *Ruleset) Elements(set string) (list []nft.Element, err error) {
	found, err := r.Ask(r.Table.Elements(set), unix.NLM_F_DUMP)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("the elements of %s: %w", set, err)
	}
	for _, body := range found {
		list = append(list, nft.ReadElements(set, body)...)
	}
	return list, nil
}
