// Package capability has the names and numbers of capabilities(7), and sets of them. Default is
// the set that a container gets unless flags change it.
package capability

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Set is a set of capabilities: bit n is capability number n.
type Set uint64

// All is every capability that there can be.
const All = ^Set(0)

// Default is Docker's set: what common programs of a root user need, as far as it can do no
// harm outside the container.
const Default = Set(1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER |
	1<<unix.CAP_FSETID | 1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID |
	1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_RAW |
	1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_MKNOD | 1<<unix.CAP_AUDIT_WRITE | 1<<unix.CAP_SETFCAP)

// Count is how many capabilities have a name; their numbers are 0 to Count-1.
const Count = len(names)

// names are in the order of their numbers.
var names = [...]string{"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL",
	"SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
	"NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE"}

// Name returns the name of a number, such as CAP_NET_ADMIN.
func Name(number int) string { return "CAP_" + names[number] }

// Parse returns the set of capabilities such as NET_ADMIN, CAP_NET_ADMIN or ALL, in any case.
func Parse(list []string) (set Set, err error) {
	for _, name := range list {
		upper := strings.ToUpper(name)
		i := slices.Index(names[:], strings.TrimPrefix(upper, "CAP_"))
		switch {
		case upper == "ALL":
			set = All
		case i < 0:
			return 0, fmt.Errorf("%s: there is no such capability; capabilities(7) lists them", name)
		default:
			set |= 1 << i
		}
	}
	return set, nil
}

// Select returns the default set, or all if a container is open, with what --cap-add and --cap-drop
// name. A capability that both name is in the set, unless it was added by ALL.
func Select(add, drop []string, open bool) (Set, error) {
	set := Default
	if open {
		set = All
	}
	added, err := Parse(add)
	if err != nil {
		return 0, fmt.Errorf("--cap-add %w", err)
	}
	dropped, err := Parse(drop)
	if err != nil {
		return 0, fmt.Errorf("--cap-drop %w", err)
	}
	if added == All && dropped != added { // ALL, but for those that are dropped by name
		return added &^ dropped, nil
	}
	return set&^dropped | added, nil
}

// Numbers returns the numbers of the set's members.
func (s Set) Numbers() (list []int) {
	for i := range names {
		if s>>i&1 == 1 {
			list = append(list, i)
		}
	}
	return list
}

// Names returns the names of the set's members, such as CAP_NET_ADMIN.
func (s Set) Names() (list []string) {
	for _, i := range s.Numbers() {
		list = append(list, Name(i))
	}
	return list
}

// String returns the set in strace's notation: 1<<CAP_CHOWN|1<<CAP_KILL, or 0.
func (s Set) String() string {
	list := s.Names()
	if len(list) == 0 {
		return "0"
	}
	return "1<<" + strings.Join(list, "|1<<")
}

// Data is the struct of capset(2) for three sets, which has the lower 32 bits of each first, and
// how a call list shows it.
func Data(effective, permitted, inheritable Set) (data *[2]unix.CapUserData, text string) {
	data = &[2]unix.CapUserData{}
	for i := range data {
		data[i].Effective = uint32(effective >> (32 * i))
		data[i].Permitted = uint32(permitted >> (32 * i))
		data[i].Inheritable = uint32(inheritable >> (32 * i))
	}
	return data, fmt.Sprintf("{effective=%s, permitted=%s, inheritable=%s}",
		effective, permitted, inheritable)
}
