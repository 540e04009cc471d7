package runtimespec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Options are a mount's options: for mount_setattr(2), move by move, and what remains for the
// file system itself (fsconfig(2)).
type Options struct {
	Set, Clear       uint64 // MOUNT_ATTR_…, of this mount
	SetAll, ClearAll uint64 // the same of those below it too
	Propagation      uint64 // MS_PRIVATE and the like, with MS_REC
	Bind, Recursive  bool
	IDMap            string // "idmap", or "ridmap" for those below it too
	CopyUp           bool   // a tmpfs begins with the files that it covers
	Data             []string
}

// Change is what one mount_setattr(2) changes of a copied mount, and its flags.
type Change struct {
	unix.MountAttr
	Flags uint64
}

// Changes returns the changes that these options mean for a copied mount: its own options, those
// of the mounts below it, and the propagation. A new mount is made with its options, and has no
// mounts below it.
func (o Options) Changes() []Change {
	recursive := uint64(0)
	if o.Propagation&unix.MS_REC != 0 && o.Bind {
		recursive = unix.AT_RECURSIVE
	}
	if !o.Bind {
		o.Set, o.Clear, o.SetAll, o.ClearAll = 0, 0, 0, 0
	}
	list := []Change{
		{unix.MountAttr{Attr_set: o.Set, Attr_clr: o.Clear}, 0},
		{unix.MountAttr{Attr_set: o.SetAll, Attr_clr: o.ClearAll}, unix.AT_RECURSIVE},
		{unix.MountAttr{Propagation: o.Propagation &^ unix.MS_REC}, recursive},
	}
	return slices.DeleteFunc(list, func(c Change) bool { return c.MountAttr == unix.MountAttr{} })
}

// attribute is what an option sets or, with clear, clears.
type attribute struct {
	bits  uint64
	clear bool
}

var attributes = map[string]attribute{
	"ro": {unix.MOUNT_ATTR_RDONLY, false}, "rw": {unix.MOUNT_ATTR_RDONLY, true},
	"nosuid": {unix.MOUNT_ATTR_NOSUID, false}, "suid": {unix.MOUNT_ATTR_NOSUID, true},
	"nodev": {unix.MOUNT_ATTR_NODEV, false}, "dev": {unix.MOUNT_ATTR_NODEV, true},
	"noexec": {unix.MOUNT_ATTR_NOEXEC, false}, "exec": {unix.MOUNT_ATTR_NOEXEC, true},
	"noatime": {unix.MOUNT_ATTR_NOATIME, false}, "atime": {unix.MOUNT_ATTR_NOATIME, true},
	"strictatime": {unix.MOUNT_ATTR_STRICTATIME, false}, "nostrictatime": {unix.MOUNT_ATTR_STRICTATIME, true},
	"relatime": {unix.MOUNT_ATTR_RELATIME, false}, "norelatime": {unix.MOUNT_ATTR_RELATIME, true},
	"nodiratime": {unix.MOUNT_ATTR_NODIRATIME, false}, "diratime": {unix.MOUNT_ATTR_NODIRATIME, true},
	"nosymfollow": {unix.MOUNT_ATTR_NOSYMFOLLOW, false}, "symfollow": {unix.MOUNT_ATTR_NOSYMFOLLOW, true},
}

var propagations = map[string]uint64{
	"private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE | unix.MS_REC,
	"slave": unix.MS_SLAVE, "rslave": unix.MS_SLAVE | unix.MS_REC,
	"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED | unix.MS_REC,
	"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
}

// ignored say what is so anyway.
var ignored = []string{"defaults", "async", "nomand", "silent", "loud", "nolazytime", "newinstance"}

// refused are known to mount(8), and not done.
var refused = []string{"remount", "iversion", "noiversion", "mand"}

// ParseMount reads the options of a mount, as mount(8) and runc have them.
func ParseMount(m specs.Mount) (Options, error) {
	o := Options{Bind: m.Type == "bind"}
	for _, word := range m.Options {
		name := strings.TrimPrefix(word, "r")
		_, recursive := attributes[name]
		_, plain := attributes[word]
		switch {
		case plain:
			add(&o.Set, &o.Clear, attributes[word])
		case name != word && recursive:
			add(&o.SetAll, &o.ClearAll, attributes[name])
		case propagations[word] != 0:
			o.Propagation = propagations[word]
		case word == "bind", word == "rbind":
			o.Bind, o.Recursive = true, word == "rbind"
		case word == "idmap", word == "ridmap":
			o.IDMap = word
		case word == "tmpcopyup":
			o.CopyUp = true
		case slices.Contains(ignored, word):
		case slices.Contains(refused, word):
			return o, fmt.Errorf("the option %q is not supported", word)
		default:
			o.Data = append(o.Data, word)
		}
	}
	if o.Bind && len(o.Data) > 0 {
		return o, fmt.Errorf("the option %q does not apply to a bind mount", o.Data[0])
	}
	if !o.Bind && m.Source != "" {
		o.Data = append([]string{"source=" + m.Source}, o.Data...)
	}
	if o.IDMap == "" && len(m.UIDMappings) > 0 {
		o.IDMap = "idmap"
	}
	return o, nil
}

// atimes is the field of the three ways to keep access times: to set one, it has to be cleared.
const atimes = unix.MOUNT_ATTR__ATIME

func add(set, clear *uint64, a attribute) {
	isTime := a.bits&atimes != 0 || a.bits == unix.MOUNT_ATTR_RELATIME
	if isTime {
		*set &^= atimes
		*clear |= atimes
	}
	switch {
	case !a.clear:
		*set |= a.bits
		if !isTime {
			*clear &^= a.bits
		}
	default:
		*set &^= a.bits
		*clear |= a.bits
	}
}

// Propagation is the value of linux.rootfsPropagation, rprivate unless it is given, and what the
// mounts are until the root is in its place: private, or for one that is shared, or follows the
// host's, a slave.
func Propagation(text string) (value, first uint64, err error) {
	first = unix.MS_REC | unix.MS_PRIVATE
	if text == "" {
		return first, first, nil
	}
	if value = propagations[text]; value&(unix.MS_SLAVE|unix.MS_SHARED) != 0 {
		first = unix.MS_REC | unix.MS_SLAVE
	}
	if value != 0 {
		return value, first, nil
	}
	return 0, 0, fmt.Errorf("linux.rootfsPropagation %q: there are %s", text,
		strings.Join(slices.Sorted(maps.Keys(propagations)), ", "))
}

// optionNames are the options that a mount may have, sorted.
func optionNames() []string {
	list := append([]string{"bind", "rbind", "idmap", "ridmap", "tmpcopyup"}, ignored...)
	for name := range attributes {
		list = append(list, name, "r"+name)
	}
	return slices.Sorted(slices.Values(slices.AppendSeq(list, maps.Keys(propagations))))
}
