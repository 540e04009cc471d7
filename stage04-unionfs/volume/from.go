package volume

import (
	"fmt"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/mountspec"
)

// Specs are the values of --volume, --mount and --tmpfs, which were checked before.
type Specs struct{ Volume, Mount, Tmpfs []string }

// NameAll gives each volume that has no name one from random, and returns the new names. It
// changes the values in place.
func (s Specs) NameAll(types mountspec.Types, random func() string) (names []string) {
	next := func() string {
		names = append(names, random())
		return names[len(names)-1]
	}
	for i, spec := range s.Volume {
		if !strings.Contains(spec, ":") {
			s.Volume[i] = next() + ":" + spec
		}
	}
	for i, spec := range s.Mount {
		if m, err := types.Mount(spec); err == nil && m.Type == "volume" && m.Source == "" {
			s.Mount[i] += ",src=" + next()
		}
	}
	return names
}

// TakeFrom calls Take for each value of --volumes-from: the name of a container and, after a
// colon, how its mounts are taken. find returns the mounts of a container.
func (s *Specs) TakeFrom(types mountspec.Types, list []string, find func(name string) (Specs, error)) error {
	for _, from := range list {
		name, mode, _ := strings.Cut(from, ":")
		if mode != "" && mode != "ro" && mode != "rw" {
			return fmt.Errorf("--volumes-from %s: give the container and nothing, ro or rw", from)
		}
		other, err := find(name)
		if err != nil {
			return fmt.Errorf("--volumes-from %s: %w", from, err)
		}
		s.Take(types, other, mode == "ro")
	}
	return nil
}

// Take adds the mounts of another container, as --volumes-from does, as they are or read-only. A
// mount is left out if its place is taken, except by a volume without a name: that gives way, as
// in Docker.
func (s *Specs) Take(types mountspec.Types, other Specs, readOnly bool) {
	for _, spec := range other.Volume {
		s.take(types, &s.Volume, Specs{Volume: []string{spec}}, spec, readOnly, ",ro")
	}
	for _, spec := range other.Mount {
		s.take(types, &s.Mount, Specs{Mount: []string{spec}}, spec, readOnly, ",readonly")
	}
}

// take adds the one mount of other to a list.
func (s *Specs) take(types mountspec.Types, list *[]string, other Specs, spec string, ro bool, readOnly string) {
	for _, m := range other.parse(types) {
		isThere := func(own mountspec.Spec) bool { return own.Target == m.Target && own.Source != "" }
		if m.Type == "tmpfs" || slices.ContainsFunc(s.parse(types), isThere) {
			return
		}
		s.Volume = slices.DeleteFunc(s.Volume, func(own string) bool { return own == m.Target })
		if readOnly == ",ro" && strings.Count(spec, ":") == 1 {
			readOnly = ":ro"
		}
		if ro && !m.ReadOnly {
			spec += readOnly
		}
		*list = append(*list, spec)
	}
}

func (s *Specs) parse(types mountspec.Types) []mountspec.Spec {
	list, _ := types.Parse(s.Volume, s.Mount, s.Tmpfs)
	return list
}
