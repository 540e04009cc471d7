package runtimespec

import (
	"fmt"
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/devcgroup"
	"stagebox/stage03-rootfs/devnode"
)

// Devices translates linux.resources.devices: what may be opened, in its order and before rules, or
// everything.
func Devices(list []specs.LinuxDeviceCgroup, rules []devcgroup.Rule) (_ []devcgroup.Rule, all bool, err error) {
	var own []devcgroup.Rule
	for i, d := range list {
		isAll := (d.Type == "" || d.Type == "a") && number(d.Major) == devcgroup.Any && number(d.Minor) == devcgroup.Any
		rule := devcgroup.Rule{Kind: kinds[d.Type], Major: number(d.Major), Minor: number(d.Minor), Access: d.Access}
		switch {
		case isAll:
			all = d.Allow
		case rule.Kind == 0:
			return nil, false, fmt.Errorf("linux.resources.devices[%d].type %q: must be a, b or c", i, d.Type)
		case d.Allow:
			own = append(own, rule)
		case all:
			return nil, false, fmt.Errorf("linux.resources.devices[%d]: denying one device after allowing all is not supported", i)
		default:
			isDenied := func(r devcgroup.Rule) bool {
				return r.Kind == rule.Kind && r.Major == rule.Major && r.Minor == rule.Minor
			}
			own, rules = slices.DeleteFunc(own, isDenied), slices.DeleteFunc(rules, isDenied)
		}
	}
	return append(own, rules...), all, nil
}

// number is a device's number; none, or a negative one, is any.
func number(n *int64) uint32 {
	if n == nil || *n < 0 {
		return devcgroup.Any
	}
	return uint32(*n)
}

// kinds are the types of a device.
var kinds = map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}

// Device is one of linux.devices, with a target that is relative to the root, and its owner: mode
// 0666 where none is given, and -1 for an id that is to stay as it is.
func Device(spec *specs.Spec, d specs.LinuxDevice) (node devnode.Node, uid, gid int, err error) {
	node = devnode.Node{Target: path.Clean("/" + d.Path)[1:], Kind: kinds[d.Type],
		Major: uint32(d.Major), Minor: uint32(d.Minor), Mode: 0o666}
	if node.Kind == 0 {
		return node, -1, -1, fmt.Errorf("type: unknown device type %q: use b, c, u or p", d.Type)
	}
	uid, gid = -1, -1
	if d.FileMode != nil {
		node.Mode = uint32(d.FileMode.Perm())
	}
	if d.UID != nil {
		uid = int(*d.UID)
	}
	if d.GID != nil {
		gid = int(*d.GID)
	}
	return node, uid, gid, vacant(spec, d.Path, node)
}

// vacant returns an error if something else is at the path of a device.
func vacant(spec *specs.Spec, name string, d devnode.Node) error {
	st, err := stat(spec, path.Clean("/"+name))
	is, dev := st.Mode&unix.S_IFMT, uint64(st.Rdev)
	if err != nil || is == d.Kind && (is == unix.S_IFIFO || dev == unix.Mkdev(d.Major, d.Minor)) {
		return nil
	}
	return fmt.Errorf("path %q: the root filesystem has something else there; use another path", name)
}
