// What a program may still do when it is root inside: few capabilities (capabilities(7)), few
// system calls (seccomp.go), on request no new privileges through setuid programs
// (PR_SET_NO_NEW_PRIVS), resource limits (setrlimit(2)), and no files of /proc and /sys that reveal
// or change the host.

package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage01-namespaces/subid"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/rlimit"
	"stagebox/stage03-rootfs/seccomp"
	"stagebox/stage03-rootfs/sysctl"
	"stagebox/stage03-rootfs/sysfs"
)

// security decides what the container may still do. Installing a seccomp filter needs
// CAP_SYS_ADMIN, so the filter comes before the capabilities are dropped. With no-new-privileges
// anyone may install one: then it comes last, and need not allow the calls that drop them.
func security(c *Container, p *Plan, id *identity) error {
	p.Section("security: what it may still do")
	if err := c.workdir(p); err != nil {
		return err
	}
	r, err := c.restrictions(p.Clone.Flags)
	if err != nil {
		return err
	}
	if err := c.rlimits(p); err != nil {
		return err
	}
	p.limitCaps(r.known &^ r.caps)
	if r.noNewPrivs {
		p.NoNewPrivs()
	} else {
		p.Seccomp(r.filter)
	}
	if c.isChanged() {
		id.become(p)
	}
	switch {
	case id.uid != 0:
		p.Capset(0)
	case r.caps != r.known:
		p.Capset(r.caps)
	}
	if r.noNewPrivs {
		p.Seccomp(r.filter)
	}
	return nil
}

// restrictions are what the flags say of system calls and of capabilities.
type restrictions struct {
	filter      []unix.SockFilter // empty without one
	caps, known capability.Set    // those that it keeps, and all that there are
	noNewPrivs  bool
}

// restrictions reads the flags. The default filter depends on the capabilities.
func (c *Container) restrictions(namespaces uint64) (r restrictions, err error) {
	s, err := seccomp.ParseOptions(c.SecurityOpt)
	if err != nil {
		return r, err
	}
	if c.open() && s.Profile == "" {
		s.Profile = "unconfined"
	}
	r.known, r.noNewPrivs = capability.Known(namespaces), s.NoNewPrivs
	caps, err := capability.Select(c.CapAdd, c.CapDrop, c.open())
	if err != nil {
		return r, err
	}
	r.caps = caps & r.known
	r.filter, err = seccomp.Filter(s.Profile, r.caps)
	return r, err
}

// open reports whether the container has only the restrictions that the user asked for. On the
// host's own files, none of the others would hold.
func (c *Container) open() bool { return c.Privileged || c.Rootfs == "" }

// joined are the restrictions of a process whose namespaces exec joins.
type joined struct {
	restrictions
	isFiltered bool // by a seccomp filter
}

// restrictionsOf reads those of the process pid. What its filter allows cannot be read: profile
// says that, or is empty for the default one.
func restrictionsOf(pid int, namespaces uint64, profile string) (*joined, error) {
	theirs, err := capability.StatusOf(pid)
	if err != nil {
		return nil, err
	}
	if !theirs.Filtered {
		profile = "unconfined"
	}
	filter, err := seccomp.Filter(profile, theirs.Bounding)
	return &joined{restrictions{filter, theirs.Bounding, capability.Known(namespaces),
		theirs.NoNewPrivs}, theirs.Filtered}, err
}

// shield lets no process inside touch the one that exec brings in, before that is as restricted as
// they are (CVE-2016-9962).
func (r *joined) shield(p *Plan) {
	p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), plan.Sym(0, "SUID_DUMP_DISABLE")).
		Why("no process inside may look into this one or change it")
	if r.isFiltered {
		p.DetachTerminal()
		p.Umask(0o022).Why("whatever the caller's is")
	}
}

// confine gives the process what those inside are restricted to, capabilities apart that it may
// still need, and leaves the caller's terminal.
func (r *joined) confine(p *Plan) {
	if r.isFiltered && p.console == nil {
		p.Add("setsid", unix.SYS_SETSID).Why("away from the caller's terminal")
	}
	p.limitCaps(r.known &^ r.caps)
	p.Seccomp(r.filter)
	if r.noNewPrivs {
		p.NoNewPrivs()
	}
}

// keepCaps is last: it leaves the process no more capabilities than those inside have.
func (r *joined) keepCaps(p *Plan) {
	if r.caps != r.known {
		p.Capset(r.caps & r.known)
	}
}

// limitCaps drops capabilities for good: no program that is executed can bring them back.
func (p *Plan) limitCaps(drop capability.Set) {
	for _, i := range drop.Numbers() {
		p.Prctl(plan.Sym(unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"),
			plan.Sym(uintptr(i), capability.Name(i))).Why("no program inside may have it")
	}
}

// NoNewPrivs has execve give no privileges, through setuid bits or otherwise (prctl(2)).
func (p *Plan) NoNewPrivs() {
	p.Add("prctl", unix.SYS_PRCTL,
		plan.Sym(unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0).
		Why("setuid programs give no rights any more")
}

// Capset gives the process a set: it is permitted and in effect, and none is inheritable.
func (p *Plan) Capset(set capability.Set) { p.CapsetOf(set, set, 0) }

// CapsetOf is capset(2).
func (p *Plan) CapsetOf(effective, permitted, inheritable capability.Set) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data, text := capability.Data(effective, permitted, inheritable)
	p.Add("capset", unix.SYS_CAPSET,
		plan.Ptr(unsafe.Pointer(header), "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}"),
		plan.Ptr(unsafe.Pointer(data), text)).Why("these rights of root's, and no others").
		Look("grep Cap /proc/PID/status")
}

// Prlimit is prlimit64(2) of the process itself.
func (p *Plan) Prlimit(limit rlimit.Limit) {
	name := "RLIMIT_" + strings.ToUpper(limit.Name)
	p.Add("prlimit64", unix.SYS_PRLIMIT64, 0, plan.Sym(uintptr(limit.Resource), name),
		plan.Ptr(unsafe.Pointer(&limit.Rlimit), limit.String()), nil).Why("--ulimit").
		Hint(unix.EPERM, "only CAP_SYS_RESOURCE raises a hard limit")
}

// masked are files and directories that reveal too much of the host, as in Docker. Through one
// of them, /proc/scsi, a container could even remove a disk (CVE-2017-16539).
var masked = []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
	"/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
	"/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"}

// readOnly are files of /proc that programs read, and that change the host when they are written.
var readOnly = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}

// protect covers the files that a container must not see, and makes the rest of /proc that
// changes the host read-only.
func (r *newRoot) protect(proc plan.Arg) error {
	r.Section("hide: what of /proc and /sys would reveal the host, or change it")
	if err := r.sysctls(); err != nil || r.Privileged {
		return err
	}
	for _, name := range readOnly {
		if _, err := os.Stat("/proc/" + name); err == nil {
			mount := r.CopyMount(proc, name).Why("/proc/" + name + " …").Result()
			r.SetMount(mount, rdOnly|noSuid|noDev|noExec)
			r.Attach(mount, proc, name).Why("… to be read only")
		}
	}
	for _, path := range slices.Concat(sysfs.Thermal(), masked) {
		if info, err := os.Stat(path); err == nil {
			r.mask(path, info.IsDir(), rdOnly|noSuid|noDev|noExec)
		}
	}
	if r.trees.IsSet() {
		r.SetMountAlone(r.trees, rdOnly)
	}
	return nil
}

// mask hides a path: a directory under an empty one, a file under /dev/null.
func (r *newRoot) mask(path string, isDir bool, attrs uint64) {
	var cover plan.Arg
	if isDir {
		cover = r.NewMount("tmpfs", attrs, "mode=555")
	} else {
		cover = r.CopyMount(r.dev, "null").Result()
	}
	r.Attach(cover, plan.Cwd, path).Why(path + " reveals the host").
		Tolerate(unix.ENOENT) // in a /sys of the caller's, or below another one that is covered
}

// networkDefaults are Docker's settings of a new network: every user may use ports below 1024, and
// every group that the container has may send pings.
func (r *newRoot) networkDefaults() error {
	if r.Clone.Flags&unix.CLONE_NEWNET == 0 {
		return nil
	}
	last := uint64(math.MaxInt32)
	if r.Clone.Flags&unix.CLONE_NEWUSER != 0 {
		_, groups, err := subid.Grants()
		if err != nil {
			return err
		}
		last = subid.Sum(groups)
	}
	r.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").
		Why("every user may use low ports: they are the container's own")
	r.WriteFile("/proc/sys/net/ipv4/ping_group_range", fmt.Sprint(0, min(last, math.MaxInt32))).
		Why("and ping").Tolerate(unix.EINVAL) // box itself is in a user namespace with fewer groups
	return nil
}

// sysctls writes the --sysctl settings (proc(5)): those of the container's own namespaces.
func (r *newRoot) sysctls() error {
	if err := r.networkDefaults(); err != nil {
		return err
	}
	for _, spec := range r.Sysctl {
		s, err := sysctl.Parse(spec, r.Clone.Flags)
		if err != nil {
			return err
		}
		file := r.Open(plan.Cwd, s.Path, unix.O_RDWR).
			Hint(unix.ENOENT, "there is no setting "+s.Name).Result()
		r.Write(file, s.Value).Why("--sysctl").
			Hint(unix.EINVAL, "the kernel does not take this value for "+s.Name)
		r.Close(file)
	}
	return nil
}
