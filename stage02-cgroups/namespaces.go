// A namespace gives a process its own instance of one kind of thing: mounts, process
// numbers, names of the system, and so on (namespaces(7), and a page for each kind, such
// as mount_namespaces(7)). clone3 makes them; a few calls inside then furnish them.

package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage01-namespaces/subid"
)

// kind is one kind of namespace, under its name in /proc/PID/ns.
type kind struct {
	name string
	flag uint64
}

var kinds = []kind{
	{"mnt", unix.CLONE_NEWNS},
	{"pid", unix.CLONE_NEWPID},
	{"uts", unix.CLONE_NEWUTS},
	{"ipc", unix.CLONE_NEWIPC},
	{"net", unix.CLONE_NEWNET},
	{"cgroup", unix.CLONE_NEWCGROUP},
	{"user", unix.CLONE_NEWUSER},
	{"time", unix.CLONE_NEWTIME},
}

// flags returns the CLONE_NEW flags: every namespace that the kernel has; the user namespace
// only for ordinary users, who may not make the others without it.
func (iso Isolation) flags() (uint64, error) {
	var flags uint64
	for _, k := range kinds {
		_, err := os.Stat("/proc/self/ns/" + k.name)
		if err == nil && (k.name != "user" || os.Geteuid() != 0) {
			flags |= k.flag
		}
	}
	for _, name := range iso.Unshare {
		flag, err := flagOf(name)
		if err != nil {
			return 0, fmt.Errorf("--unshare %w", err)
		}
		flags |= flag
	}
	for _, name := range iso.Share {
		flag, err := flagOf(name)
		if err != nil {
			return 0, fmt.Errorf("--share %w", err)
		}
		flags &^= flag
	}
	return flags, nil
}

// namespaces decides what the container sees of the system.
func namespaces(c *Container, p *Plan) error {
	flags, err := c.flags()
	if err != nil {
		return err
	}
	isNew := func(flag uint64) bool { return flags&flag == flag }
	p.Clone.Flags |= flags &^ unix.CLONE_NEWCGROUP
	if isNew(unix.CLONE_NEWUSER) {
		if err := mapIDs(p); err != nil {
			return err
		}
	}
	p.Handshake()
	p.Section("namespaces: what it sees of the system")
	if isNew(unix.CLONE_NEWCGROUP) {
		p.Unshare(unix.CLONE_NEWCGROUP).Why("the cgroup it is in now becomes the root it sees").
			Look("cat /proc/PID/cgroup")
	}
	if isNew(unix.CLONE_NEWNS) {
		// First of all, and always: on most hosts / is shared, and without this line
		// every mount below would also appear outside.
		p.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "").
			Why("no mount made in here shows outside").Look("grep -c shared: /proc/PID/mountinfo")
	}
	if isNew(unix.CLONE_NEWNS | unix.CLONE_NEWPID) {
		p.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "").
			Why("a /proc of the new PID namespace").Look("sudo ls /proc/PID/root/proc").
			Hint(unix.EPERM, "inside another container, whose /proc is masked, "+
				"only root may mount a fresh one: add --share pid")
	}
	if isNew(unix.CLONE_NEWUTS) {
		p.Sethostname(c.Hostname).Why("a name of its own").Look("sudo nsenter -t PID -u hostname")
	}
	if c.Domainname != "" {
		p.Setdomainname(c.Domainname).Why("and a domain").Look("sudo nsenter -t PID -u domainname")
	}
	if isNew(unix.CLONE_NEWNET) {
		socket := p.Socket().Why("any socket serves to reach the interfaces").Result()
		p.LinkUp(socket, "lo").Why("a new network has one, loopback, and it is down").
			Look("sudo nsenter -t PID -n ip addr")
		p.Close(socket)
	}
	return nil
}

// Unshare is unshare(2).
func (p *Plan) Unshare(flags uint64) *plan.Call {
	return p.Add("unshare", unix.SYS_UNSHARE, plan.Bits(flags, plan.CloneFlags))
}

// Mount is mount(2). An empty source, fstype or data is given as NULL.
func (p *Plan) Mount(source, target, fstype string, flags uint64, data string) *plan.Call {
	return p.Add("mount", unix.SYS_MOUNT, p.StrOrNull(source), target, p.StrOrNull(fstype),
		plan.Bits(flags, plan.MountFlags), p.StrOrNull(data))
}

// Sethostname is sethostname(2).
func (p *Plan) Sethostname(name string) *plan.Call {
	return p.Add("sethostname", unix.SYS_SETHOSTNAME, name, len(name)).
		Hint(unix.EINVAL, "a host name has at most 64 bytes")
}

// Setdomainname is setdomainname(2).
func (p *Plan) Setdomainname(name string) *plan.Call {
	return p.Add("setdomainname", unix.SYS_SETDOMAINNAME, name, len(name)).
		Hint(unix.EINVAL, "a domain name has at most 64 bytes")
}

// Socket is socket(2): any socket serves as the handle for ioctls on interfaces.
func (p *Plan) Socket() *plan.Call {
	return p.Add("socket", unix.SYS_SOCKET, plan.Sym(unix.AF_INET, "AF_INET"),
		plan.Sym(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC"),
		plan.Sym(unix.IPPROTO_IP, "IPPROTO_IP"))
}

// LinkUp is ioctl(2) SIOCSIFFLAGS of netdevice(7).
func (p *Plan) LinkUp(socket plan.Arg, name string) *plan.Call {
	req := &ifreq{flags: unix.IFF_UP}
	copy(req.name[:len(req.name)-1], name)
	return p.Add("ioctl", unix.SYS_IOCTL, socket, plan.Sym(unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"),
		plan.Ptr(unsafe.Pointer(req), "{ifr_name="+plan.Quote(name)+", ifr_flags=IFF_UP}"))
}

// ifreq is struct ifreq of netdevice(7), as far as flags need it.
type ifreq struct {
	name  [unix.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

// mapIDs has the host map the ids of the new user namespace (user_namespaces(7)). User 0
// inside is the caller. An ordinary user may map only that one id; the setuid programs
// newuidmap(1) and newgidmap(1) map the ranges of /etc/subuid and /etc/subgid as well.
func mapIDs(p *Plan) error {
	uid, gid := os.Geteuid(), os.Getegid()
	uids, gids, err := subid.Grants()
	switch {
	case err != nil:
		return err
	case len(uids) == 0:
		p.WhileHeld(func(h *Plan, pid string) {
			h.WriteFile("/proc/"+pid+"/setgroups", "deny").
				Why("needed before gid_map: a user must not drop a group that is denied access")
			writeMaps(h, pid, mapText(uid, nil), mapText(gid, nil))
		})
	case uid == 0:
		p.WhileHeld(func(h *Plan, pid string) {
			writeMaps(h, pid, mapText(0, uids), mapText(0, gids))
		})
	default:
		p.WhileHeld(func(h *Plan, pid string) {
			newMap := func(program, text string) *plan.Call {
				return h.Command(append([]string{program, pid}, strings.Fields(text)...)...)
			}
			newMap("newuidmap", mapText(uid, uids)).Why("more users than one")
			newMap("newgidmap", mapText(gid, gids)).Why("and groups")
		})
	}
	return nil
}

func writeMaps(h *Plan, pid, uids, gids string) {
	h.WriteFile("/proc/"+pid+"/uid_map", uids).Why("user 0 inside is this user outside")
	h.WriteFile("/proc/"+pid+"/gid_map", gids).Why("and group 0")
}

// mapText returns the lines "inside outside count" that uid_map takes: 0 is the caller, and
// the ranges follow from 1 on.
func mapText(caller int, ranges []subid.Range) string {
	text := fmt.Sprintf("0 %d 1\n", caller)
	next := uint64(1)
	for _, r := range ranges {
		text += fmt.Sprintf("%d %d %d\n", next, r.Start, r.Count)
		next += uint64(r.Count)
	}
	return text
}
