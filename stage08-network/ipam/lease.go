// Package ipam manages networks, their addresses, and the containers that have them, in a
// directory of plain files (Dir): which networks there are, a subnet for each that nothing else on
// the host uses, and a file of leases, which say who has which address. A lease counts as long as
// the process that keeps it lives, which holds a lock named by the container's id: when that
// process is killed, its addresses are free again. The caller makes the bridges and rules.
//
// The lesson reads Network, ChooseSubnet, Lease and Dir.Acquire.
package ipam

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/state"
)

// Lease is an address and the container that has it.
type Lease struct {
	Addr, Addr6 netip.Addr // Addr6 may be invalid
	ID          string     // of the container
	Keeper      string     // the process that keeps it, as Keeper names it
	Names       []string   // of the container on the network, its own first; there may be none

	MAC net.HardwareAddr // nil for the one that comes of Addr
}

// Addresses are those of the lease that are valid, as text.
func (l Lease) Addresses() (list []string) {
	for _, addr := range []netip.Addr{l.Addr, l.Addr6} {
		if addr.IsValid() {
			list = append(list, addr.String())
		}
	}
	return list
}

// Label is the name of the container, or its id if it has none.
func (l Lease) Label() string {
	if len(l.Names) > 0 {
		return l.Names[0]
	}
	return l.ID
}

// Labels lists the labels of leases, with commas.
func Labels(list []Lease) string {
	labels := make([]string, len(list))
	for i, l := range list {
		labels[i] = l.Label()
	}
	return strings.Join(labels, ", ")
}

// hasName reports whether a name is one of the container's, in upper or lower case, or the 12
// digits of its id that are shown.
func (l Lease) hasName(name string) bool {
	isName := func(own string) bool { return strings.EqualFold(own, name) }
	return name == l.ID[:min(12, len(l.ID))] || slices.ContainsFunc(l.Names, isName)
}

// Keeper names a process so that no later one is taken for it: PID@START, where START is the
// time of its start in clock ticks since boot, field 22 of /proc/PID/stat (proc(5)). The name of
// a process that does not exist is "-".
func Keeper(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "-"
	}
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fmt.Sprintf("%d@%s", pid, fields[19])
	}
	return "-"
}

// Read reads a file of leases: the live ones, whose container isHeld is true for, and the dead
// ones. Without the file there are none, and lines that are not leases are skipped.
func Read(path string, isHeld func(id string) bool) (live, dead []Lease, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	for line := range strings.Lines(string(data)) {
		l, ok := parse(line)
		switch {
		case !ok:
		case isHeld(l.ID):
			live = append(live, l)
		default:
			dead = append(dead, l)
		}
	}
	return live, dead, nil
}

// Write replaces a file of leases, ordered by address. It may be lost in a power cut, which no
// keeper outlives.
func Write(path string, list []Lease) error {
	slices.SortFunc(list, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	var text strings.Builder
	for _, l := range list {
		text.WriteString(l.line())
	}
	return state.Write(path, []byte(text.String()), 0o644, state.Volatile)
}

// line is a lease in the file: address, IPv6 address or -, id, keeper, names; and
// before the names mac=MAC, if it is not the default.
func (l Lease) line() string {
	addr6 := "-"
	if l.Addr6.IsValid() {
		addr6 = l.Addr6.String()
	}
	fields := append([]string{l.Addr.String(), addr6, l.ID, l.Keeper}, l.Names...)
	if l.MAC != nil {
		fields = slices.Insert(fields, 4, macField+l.MAC.String())
	}
	return strings.Join(fields, " ") + "\n"
}

// macField begins a field that no name does.
const macField = "mac="

func parse(line string) (l Lease, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return l, false
	}
	addr, err := netip.ParseAddr(fields[0])
	addr6, err6 := netip.ParseAddr(fields[1])
	ok = err == nil && addr.Is4() && (err6 == nil || fields[1] == "-")
	l = Lease{Addr: addr, Addr6: addr6, ID: fields[2], Keeper: fields[3], Names: fields[4:]}
	if len(l.Names) > 0 && strings.HasPrefix(l.Names[0], macField) {
		l.MAC, err = net.ParseMAC(l.Names[0][len(macField):])
		l.Names, ok = l.Names[1:], ok && err == nil
	}
	return l, ok
}
