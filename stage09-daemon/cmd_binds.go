// The mounts that -v, --mount and --tmpfs ask for; package mountspec has the grammar of the flags,
// and binds.go makes the mounts.

package main

import (
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/ids"
)

// mountTypes are the types that --mount takes.
var mountTypes = mountspec.Types{"bind", "tmpfs", "volume", "image"}

// binds reads the three flags; those nearer to the root come first.
func (f *Files) binds() ([]bind, error) {
	return mountTypes.Resolve(f.Volume, f.Mount, f.Tmpfs, ids.IsName)
}
