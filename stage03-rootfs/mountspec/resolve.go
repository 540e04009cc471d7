package mountspec

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Resolve is Parse, and checks each mount's place inside and its source: isName reports whether a
// text may name a volume. Mounts whose place is nearer to the root come first.
func (t Types) Resolve(volumes, mounts, tmpfs []string, isName func(string) bool) ([]Spec, error) {
	list, err := t.Parse(volumes, mounts, tmpfs)
	if err != nil {
		return nil, err
	}
	for i := range list {
		err := list[i].checkTarget(list[:i])
		if err == nil {
			err = list[i].checkSource(isName)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].Text, err)
		}
	}
	slices.SortStableFunc(list, func(a, b Spec) int {
		return strings.Count(a.Target, "/") - strings.Count(b.Target, "/")
	})
	return list, nil
}

func (s *Spec) checkTarget(others []Spec) error {
	if !path.IsAbs(s.Target) {
		return fmt.Errorf("the place inside, %q, must be an absolute path", s.Target)
	}
	s.Target = path.Clean(s.Target)
	overOurs := s.Target == "/sys" || s.Target == "/dev"
	switch top := strings.SplitN(s.Target, "/", 3)[1]; {
	case s.Target == "/" || top == "proc" || overOurs && s.Type != "bind":
		return fmt.Errorf("%s is reserved: the container has its own there", s.Target)
	case overOurs && s.Propagation == "shared":
		return fmt.Errorf("shared: what the container hides of %s would be hidden from the host too; give slave", s.Target)
	case slices.ContainsFunc(others, func(o Spec) bool { return o.Target == s.Target }):
		return fmt.Errorf("duplicate mount point: %s", s.Target)
	}
	return nil
}

func (s *Spec) checkSource(isName func(string) bool) error {
	switch {
	case s.Type == "volume" && s.Source != "" && !isName(s.Source):
		return fmt.Errorf("%q is neither a path, which begins with / or ./, nor the name of a volume, which is made of letters, digits and _ . -", s.Source)
	case s.Type != "bind":
		s.IsDir = true
		return nil
	case !filepath.IsAbs(s.Source):
		return fmt.Errorf("the host's path must begin with / or with a dot: ./%s, perhaps", s.Source)
	}
	info, err := os.Stat(s.Source)
	if s.MakeSource && errors.Is(err, os.ErrNotExist) {
		s.IsDir, s.IsMissing = true, true
		return nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("bind source path does not exist: %s; make it first", s.Source) // Docker's words
	}
	if err != nil {
		return err
	}
	s.IsDir = info.IsDir()
	return nil
}
