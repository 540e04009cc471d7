// Package nsmode reads Docker's modes for namespaces that are not new: the values of --pid, --ipc and
// --uts. With host they mean what --share does. No lesson reads it.
package nsmode

import (
	"fmt"
	"slices"
	"strings"
)

// Reader reads the modes of one container.
type Reader struct {
	Share, Unshare []string                                 // as the flags of these names; Read adds to Share
	Find           func(name string) (id string, err error) // finds another container
}

// Read checks the mode of a kind of namespace, which may be one of some words or, but for uts, a
// container. It puts the id of a container in the place of its name.
func (r *Reader) Read(kind string, mode *string, words ...string) error {
	name, joins := strings.CutPrefix(*mode, "container:")
	joins = joins && name != "" && kind != "uts"
	switch {
	case *mode == "":
	case !joins && !slices.Contains(words, *mode):
		if kind != "uts" {
			words = append(words, "container:NAME")
		}
		return fmt.Errorf("--%s %s: no such mode; there are: %s", kind, *mode, strings.Join(words, ", "))
	case *mode == "host" && slices.Contains(r.Unshare, kind):
		return fmt.Errorf("--%s host and --unshare %[1]s exclude one another", kind)
	case *mode != "host" && slices.Contains(r.Share, kind):
		return fmt.Errorf("--%s %s and --share %[1]s exclude one another", kind, *mode)
	case *mode == "host":
		r.Share = append(r.Share, kind)
	case joins:
		id, err := r.Find(name)
		if err != nil {
			return fmt.Errorf("--%s %s: %w", kind, *mode, err)
		}
		*mode = "container:" + id
	}
	return nil
}
