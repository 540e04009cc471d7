// The mounts that -v, --mount and --tmpfs ask for; package mountspec has the grammar of the flags,
// and binds.go makes the mounts.

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/ids"
)

// mountTypes are the types that --mount takes.
var mountTypes = mountspec.Types{"bind", "tmpfs", "volume", "image"}

// binds reads the three flags; those nearer to the root come first.
func (f *Files) binds() ([]bind, error) {
	specs, err := mountTypes.Parse(f.Volume, f.Mount, f.Tmpfs)
	if err != nil {
		return nil, err
	}
	var list []bind
	for _, spec := range specs {
		b := bind{Spec: spec}
		if err := b.check(list); err != nil {
			return nil, fmt.Errorf("%s: %w", spec.Text, err)
		}
		list = append(list, b)
	}
	slices.SortStableFunc(list, func(a, b bind) int { return strings.Count(a.Target, "/") - strings.Count(b.Target, "/") })
	return list, nil
}

// check looks at the place inside, and at the source.
func (b *bind) check(others []bind) error {
	if !path.IsAbs(b.Target) {
		return fmt.Errorf("the place inside, %q, must be an absolute path", b.Target)
	}
	b.Target = path.Clean(b.Target)
	switch top := strings.SplitN(b.Target, "/", 3)[1]; {
	case b.Target == "/" || top == "proc" || b.Target == "/sys" || b.Target == "/dev":
		return fmt.Errorf("%s is reserved: the container has its own there", b.Target)
	case slices.ContainsFunc(others, func(o bind) bool { return o.Target == b.Target }):
		return fmt.Errorf("duplicate mount point: %s", b.Target)
	case b.Type == "volume" && !ids.IsName(b.Source) && b.Source != "":
		return fmt.Errorf("%q is neither a path, which begins with / or ./, nor the name of a volume, which is made of letters, digits and _ . -", b.Source)
	case b.Type != "bind":
		b.isDir = true
		return nil
	case !filepath.IsAbs(b.Source):
		return fmt.Errorf("the host's path must begin with / or with a dot: ./%s, perhaps", b.Source)
	}
	info, err := os.Stat(b.Source)
	if b.MakeSource && errors.Is(err, os.ErrNotExist) {
		b.isDir, b.isMissing = true, true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; make it first", err)
	}
	b.isDir = info.IsDir()
	return nil
}
