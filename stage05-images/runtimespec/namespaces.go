package runtimespec

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/sysctl"
)

// nameOf returns the name in /proc/PID/ns of a namespace's type.
func nameOf(kind specs.LinuxNamespaceType) string {
	switch kind {
	case specs.NetworkNamespace:
		return "net"
	case specs.MountNamespace:
		return "mnt"
	}
	return string(kind)
}

// typeOf is the reverse of nameOf.
func typeOf(name string) specs.LinuxNamespaceType {
	switch name {
	case "net":
		return specs.NetworkNamespace
	case "mnt":
		return specs.MountNamespace
	}
	return specs.LinuxNamespaceType(name)
}

// HasNamespace reports whether the container has a namespace of a type that is not box's: a new
// one, or one that it joins.
func HasNamespace(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == kind })
}

// isPrivate reports whether a namespace of the container is not the one that box itself is in, and
// that its file in /proc may name.
func isPrivate(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	own, err := os.Stat("/proc/self/ns/" + nameOf(kind))
	return err == nil && slices.ContainsFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		joined, err := os.Stat(ns.Path)
		return ns.Type == kind && (ns.Path == "" || err != nil || !os.SameFile(joined, own))
	})
}

// hasNew reports whether the container has a new namespace of a type.
func hasNew(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(spec.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == kind && ns.Path == "" })
}

// checkNamespaces refuses what would change the host instead of the container.
func checkNamespaces(spec *specs.Spec) error {
	switch {
	case !HasNamespace(spec, specs.MountNamespace):
		return errors.New("linux.namespaces: there is no mount namespace, " +
			"and box would change the host's own root: add one of type mount")
	case !isPrivate(spec, specs.UTSNamespace) && spec.Hostname+spec.Domainname != "":
		return errors.New("hostname: the container shares the host's UTS namespace and would rename the host: leave it out, or add a namespace of type uts")
	case hasNew(spec, specs.UserNamespace) && len(spec.Linux.UIDMappings)*len(spec.Linux.GIDMappings) == 0:
		return errors.New("linux.uidMappings, linux.gidMappings: a new user namespace needs both")
	case !hasNew(spec, specs.TimeNamespace) && len(spec.Linux.TimeOffsets) > 0:
		return errors.New("linux.timeOffsets: they need a new namespace of type time")
	}
	return nil
}

// Sysctl is a file of /proc/sys, and what to write to it.
type Sysctl struct{ File, Value string }

// Sysctls returns linux.sysctl, sorted by name, and refuses a setting that is the host's.
func Sysctls(spec *specs.Spec) (list []Sysctl, err error) {
	for _, name := range slices.Sorted(maps.Keys(spec.Linux.Sysctl)) {
		if err := checkSysctl(spec, name); err != nil {
			return nil, err
		}
		_, file := sysctl.Names(name)
		list = append(list, Sysctl{file, spec.Linux.Sysctl[name]})
	}
	return list, nil
}

// TimeOffsets returns the lines of /proc/PID/timens_offsets for linux.timeOffsets, sorted.
func TimeOffsets(spec *specs.Spec) (lines []string) {
	for _, clock := range slices.Sorted(maps.Keys(spec.Linux.TimeOffsets)) {
		offset := spec.Linux.TimeOffsets[clock]
		lines = append(lines, fmt.Sprintf("%s %d %d\n", clock, offset.Secs, offset.Nanosecs))
	}
	return lines
}

func checkSysctl(spec *specs.Spec, name string) error {
	dotted, file := sysctl.Names(name)
	if path.Clean(file) != file {
		return fmt.Errorf("linux.sysctl[%s]: no name of a setting", name)
	}
	kind := map[string]specs.LinuxNamespaceType{"kernel.hostname": specs.UTSNamespace,
		"kernel.domainname": specs.UTSNamespace}[dotted]
	switch sysctl.Namespace(dotted) {
	case unix.CLONE_NEWNET:
		kind = specs.NetworkNamespace
	case unix.CLONE_NEWIPC:
		kind = specs.IPCNamespace
	}
	if kind != "" && isPrivate(spec, kind) {
		return nil
	}
	return fmt.Errorf("linux.sysctl[%s]: the setting is the host's, not the container's", name)
}

// IDMaps are the lines of /proc/PID/uid_map and gid_map, and who may write them.
type IDMaps struct {
	UIDs, GIDs string
	ByPrograms bool // newuidmap(1) and newgidmap(1) alone may
	DenyGroups bool // only after setgroups(2) is denied
}

// MapIDs returns linux.uidMappings and linux.gidMappings. An ordinary user may map the user's own ids
// alone; the programs map the subordinate ones as well.
func MapIDs(l *specs.Linux) IDMaps {
	m := IDMaps{UIDs: idMap(l.UIDMappings), GIDs: idMap(l.GIDMappings)}
	if os.Geteuid() != 0 {
		m.DenyGroups = mapsOnly(l.UIDMappings, os.Geteuid()) && mapsOnly(l.GIDMappings, os.Getegid())
		m.ByPrograms = !m.DenyGroups
	}
	return m
}

// MapIDsOf returns the maps of an id-mapped mount: its own, or else the container's.
func MapIDsOf(m specs.Mount, l *specs.Linux) (uids, gids string, err error) {
	of := specs.Linux{UIDMappings: m.UIDMappings, GIDMappings: m.GIDMappings}
	if len(m.UIDMappings) == 0 {
		of = specs.Linux{UIDMappings: l.UIDMappings, GIDMappings: l.GIDMappings}
	}
	if len(of.UIDMappings)*len(of.GIDMappings) == 0 {
		return "", "", errors.New("uidMappings, gidMappings: an id-mapped mount needs both")
	}
	return idMap(of.UIDMappings), idMap(of.GIDMappings), nil
}

// idMap returns the lines of one list.
func idMap(list []specs.LinuxIDMapping) (text string) {
	for _, m := range list {
		text += fmt.Sprintf("%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return text
}

// openNamespace opens a namespace of a kind. The caller's own mount namespace is none to join:
// pivot_root would change the caller's root.
func openNamespace(path string, flag uint64) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil {
		return -1, errors.New("it is not a namespace")
	}
	if uint64(kind) != flag {
		return -1, errors.New("it is a namespace of another type")
	}
	var own, other unix.Stat_t
	if err := errors.Join(unix.Stat("/proc/self/ns/mnt", &own), unix.Fstat(fd, &other)); err != nil {
		return -1, err
	}
	if own.Ino == other.Ino && own.Dev == other.Dev {
		return -1, errors.New("it is box's own mount namespace, whose root is the host's")
	}
	return fd, nil
}

// Joining is a namespace that exists already, and that the container joins.
type Joining struct {
	Path string
	Flag uint64 // CLONE_NEW…
	FD   int
}

// Namespaces are the namespaces of a container that it does not share with box.
type Namespaces struct {
	New     uint64    // CLONE_NEW… of those to make
	Joined  []Joining // those that exist already: user first, mnt last
	offsets bool      // whether there are linux.timeOffsets
}

// Unshares reports whether the new namespaces are made after others were joined: by the user
// namespace that is to own them, or before a new one that would have no right to join. The offset
// of a clock, too, is set before a process is in its namespace.
func (n Namespaces) Unshares() bool {
	joinsUser := len(n.Joined) > 0 && n.Joined[0].Flag == unix.CLONE_NEWUSER
	makesUser := len(n.Joined) > 0 && n.New&unix.CLONE_NEWUSER != 0
	return joinsUser || makesUser || n.offsets
}

// BornWith are the namespaces that clone3 makes.
func (n Namespaces) BornWith() uint64 {
	if n.Unshares() {
		return 0
	}
	return n.New &^ unix.CLONE_NEWCGROUP
}

// Forks reports whether only a child is inside all namespaces. A PID namespace that is joined, and an
// offset of a clock, are for children alone.
func (n Namespaces) Forks() bool {
	return n.Unshares() || slices.ContainsFunc(n.Joined, func(j Joining) bool { return j.Flag == unix.CLONE_NEWPID })
}

// SortNamespaces sorts linux.namespaces into those to make and those to join, which it opens. flagOf
// returns the flag of a name in /proc/PID/ns.
func SortNamespaces(spec *specs.Spec, flagOf func(name string) (uint64, error)) (n Namespaces, err error) {
	n.offsets = len(spec.Linux.TimeOffsets) > 0
	seen := uint64(0)
	for i, ns := range spec.Linux.Namespaces {
		flag, err := flagOf(nameOf(ns.Type))
		switch {
		case err != nil:
			return n, fmt.Errorf("linux.namespaces[%d].type: %w", i, err)
		case seen&flag != 0:
			return n, fmt.Errorf("linux.namespaces[%d].type: duplicate %s", i, ns.Type)
		case ns.Path == "":
			n.New |= flag
		default:
			fd, err := openNamespace(ns.Path, flag)
			if err != nil {
				return n, fmt.Errorf("linux.namespaces[%d].path %q: %w", i, ns.Path, err)
			}
			n.Joined = append(n.Joined, Joining{ns.Path, flag, fd})
		}
		seen |= flag
	}
	rank := map[uint64]int{unix.CLONE_NEWUSER: -1, unix.CLONE_NEWNS: 1}
	slices.SortStableFunc(n.Joined, func(x, y Joining) int { return rank[x.Flag] - rank[y.Flag] })
	return n, checkNamespaces(spec)
}

// mapsOnly reports whether a list of mappings is of one id of the host's alone.
func mapsOnly(list []specs.LinuxIDMapping, id int) bool {
	return len(list) == 1 && list[0].Size == 1 && int(list[0].HostID) == id
}
