// What a program may still do when it is root inside: few capabilities (capabilities(7)),
// few system calls (seccomp.go), no more rights through setuid programs on request
// (PR_SET_NO_NEW_PRIVS), limits (setrlimit(2)), and nothing of /proc and /sys that tells of
// the host or changes it.
package main

import (
	"errors"
	"fmt"
	"maps"
	mathbits "math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// Security are the flags that restrict what the program may do, or allow it more.
type Security struct {
	CapAdd      []string `help:"Capabilities to give, such as NET_ADMIN, or ALL." placeholder:"CAP" group:"Walls:"`
	CapDrop     []string `help:"Capabilities to take away, or ALL." placeholder:"CAP" group:"Walls:"`
	Privileged  bool     `help:"No walls: all capabilities, devices and system calls, /proc and /sys to write to." group:"Walls:"`
	SecurityOpt []string `help:"no-new-privileges; seccomp=FILE for a profile of your own, seccomp=unconfined for none." placeholder:"OPT" sep:"none" group:"Walls:"`
	Ulimit      []string `help:"A limit of setrlimit, such as nofile=1024:4096; see prlimit." placeholder:"NAME=SOFT[:HARD]" sep:"none" group:"Walls:"`
}

// securityOpts is what --security-opt says.
type securityOpts struct {
	noNewPrivs bool
	profile    string // a file, "" for the default, "unconfined"
}

func (f *Security) securityOpts() (securityOpts, error) {
	var s securityOpts
	for _, option := range f.SecurityOpt {
		name, value, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		switch {
		case name == "no-new-privileges" && (value == "" || value == "true"):
			s.noNewPrivs = true
		case name == "no-new-privileges" && value == "false":
			s.noNewPrivs = false
		case name == "seccomp" && value != "":
			s.profile = value
		default:
			return s, fmt.Errorf("--security-opt %s: there are no-new-privileges, seccomp=FILE and seccomp=unconfined", option)
		}
	}
	return s, nil
}

// security decides what the container may still do. A filter of system calls goes up while
// the process may put one up, which is before its capabilities go, unless it has renounced
// new privileges: then last, so that the calls of the other restrictions need not be allowed.
func security(c *Container, p *Plan, id *identity) error {
	if err := c.workdir(p); err != nil {
		return err
	}
	s, err := c.securityOpts()
	if err != nil {
		return err
	}
	if c.open() && s.profile == "" {
		s.profile = "unconfined"
	}
	known := knownCaps(p.Clone.Flags)
	caps, err := c.capabilities(known, c.open())
	if err != nil {
		return err
	}
	filter, err := s.filter(caps)
	if err != nil {
		return err
	}
	if err := c.rlimits(p); err != nil {
		return err
	}
	p.limitCaps(known &^ caps)
	if s.noNewPrivs {
		p.NoNewPrivs()
	} else {
		p.Seccomp(filter)
	}
	if c.Rootfs != "" || c.User != "" {
		id.become(p)
	}
	switch {
	case id.uid != 0:
		p.Capset(0)
	case caps != known:
		p.Capset(caps)
	}
	if s.noNewPrivs {
		p.Seccomp(filter)
	}
	return nil
}

// open reports whether the container has only the restrictions that the user asked for: with
// the host's own files there can be none that hold.
func (c *Container) open() bool { return c.Privileged || c.Rootfs == "" }

// securityOf has a process that exec brings in keep away from those inside until it is their
// like (CVE-2016-9962), and returns what then makes it so: the restrictions of the process pid, of
// whose filter the profile is known, and a terminal no more than that has one.
func (p *Plan) securityOf(pid int, namespaces uint64, profile string) (confine func(who *identity), err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	bounding, err := strconv.ParseUint(statusField(status, "CapBnd"), 16, 64)
	if err != nil {
		return nil, fmt.Errorf("/proc/%d/status: CapBnd: %w", pid, err)
	}
	keep, known := capset(bounding), knownCaps(namespaces)
	filtered := statusField(status, "Seccomp") == "2"
	s := securityOpts{profile: profile}
	if !filtered {
		s.profile = "unconfined"
	}
	filter, err := s.filter(keep)
	if err != nil {
		return nil, err
	}
	p.Prctl(plan.Sym(unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), plan.Sym(0, "SUID_DUMP_DISABLE")).
		Why("nobody inside may look into this process or change it")
	if filtered {
		p.DetachTerminal()
		p.Umask(0o022).Why("whatever the caller's is")
	}
	return func(who *identity) {
		if filtered && p.console == nil {
			p.Add("setsid", unix.SYS_SETSID).Why("away from the caller's terminal")
		}
		p.limitCaps(known &^ keep)
		p.Seccomp(filter)
		if statusField(status, "NoNewPrivs") == "1" {
			p.NoNewPrivs()
		}
		if who.given {
			who.become(p)
		}
		if who.uid != 0 {
			p.Capset(0)
		} else if keep != known {
			p.Capset(keep & known)
		}
	}, nil
}

// statusField is the value of a line of /proc/PID/status.
func statusField(status []byte, name string) string {
	_, rest, _ := strings.Cut(string(status), "\n"+name+":\t")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// capset is a set of capabilities, one bit each.
type capset uint64

// capabilities are the names, in the order of their numbers.
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
	SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
	AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
	CHECKPOINT_RESTORE`)

// defaultCaps is Docker's set: what the usual programs of a root user need, among what can do
// no harm outside.
const defaultCaps = capset(1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE |
	1<<unix.CAP_NET_RAW | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_MKNOD | 1<<unix.CAP_AUDIT_WRITE | 1<<unix.CAP_SETFCAP)

// capabilities is the set that the container gets, of what box itself may give.
func (f *Security) capabilities(known capset, open bool) (capset, error) {
	set := defaultCaps
	if open {
		set = ^capset(0)
	}
	add, err := parseCaps("--cap-add", f.CapAdd)
	if err != nil {
		return 0, err
	}
	drop, err := parseCaps("--cap-drop", f.CapDrop)
	if err != nil {
		return 0, err
	}
	if add == ^capset(0) && drop != add { // ALL, but for those that are dropped by name
		return add &^ drop & known, nil
	}
	return (set&^drop | add) & known, nil
}

// parseCaps reads a flag's names.
func parseCaps(flag string, names []string) (set capset, err error) {
	for _, name := range names {
		one, err := parseCap(name)
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", flag, name, err)
		}
		set |= one
	}
	return set, nil
}

// parseCap reads NET_ADMIN, CAP_NET_ADMIN or ALL, in any case.
func parseCap(name string) (capset, error) {
	upper := strings.ToUpper(name)
	if upper == "ALL" {
		return ^capset(0), nil
	}
	i := slices.Index(capabilities, strings.TrimPrefix(upper, "CAP_"))
	if i < 0 {
		return 0, errors.New("there is no such capability; capabilities(7) lists them")
	}
	return 1 << i, nil
}

// knownCaps is what the process may have: all that the kernel knows in a user namespace of
// its own, else what box has, which is less than everything inside another container.
func knownCaps(namespaces uint64) capset {
	var set capset
	for i := range capabilities {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		if err == nil && (has == 1 || namespaces&unix.CLONE_NEWUSER != 0) {
			set |= 1 << i
		}
	}
	return set
}

// String is the set in strace's notation.
func (c capset) String() string {
	var names []string
	for i, name := range capabilities {
		if c>>i&1 == 1 {
			names = append(names, "1<<CAP_"+name)
		}
	}
	if len(names) == 0 {
		return "0"
	}
	return strings.Join(names, "|")
}

// limitCaps drops capabilities for good: no program that is executed can bring them back.
func (p *Plan) limitCaps(drop capset) {
	for rest := drop; rest != 0; rest &= rest - 1 {
		i := mathbits.TrailingZeros64(uint64(rest))
		p.Prctl(plan.Sym(unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"), plan.Sym(uintptr(i), "CAP_"+capabilities[i])).Why("not in here, whoever asks")
	}
}

// NoNewPrivs has execve give no privileges, through setuid bits or otherwise (prctl(2)).
func (p *Plan) NoNewPrivs() {
	p.Add("prctl", unix.SYS_PRCTL, plan.Sym(unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0).
		Why("setuid programs give no rights any more")
}

// Capset is capset(2): these are permitted and in effect, and none is inheritable.
func (p *Plan) Capset(set capset) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{}
	for i := range data {
		half := uint32(set >> (32 * i))
		data[i].Effective, data[i].Permitted = half, half
	}
	p.Add("capset", unix.SYS_CAPSET, plan.Ptr(unsafe.Pointer(header), "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}"),
		plan.Ptr(unsafe.Pointer(data), fmt.Sprintf("{effective=%s, permitted=%s, inheritable=0}", set, set))).Why("these rights of root's, and no others").
		Look("grep Cap /proc/PID/status")
}

// resources are the limits of setrlimit(2), under their names.
var resources = map[string]int{
	"core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS,
	"memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO, "rttime": unix.RLIMIT_RTTIME,
	"sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// rlimits plans the --ulimit flags. Who may not raise a hard limit gets what there is.
func (f *Security) rlimits(p *Plan) error {
	for _, spec := range f.Ulimit {
		name, limit, err := parseUlimit(spec)
		if err != nil {
			return fmt.Errorf("--ulimit %s: %w", spec, err)
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(resources[name], &now); err != nil {
			return fmt.Errorf("getrlimit(%s): %w", name, err)
		}
		if limit.Max > now.Max && !mayRaise() {
			fmt.Fprintf(os.Stderr, "box: --ulimit %s: only CAP_SYS_RESOURCE raises a hard limit, and box lacks it: %s stays at %s\n", spec, name, rlimitText(now.Max))
			limit.Max = now.Max
			limit.Cur = min(limit.Cur, now.Max)
		}
		p.Prlimit(name, limit)
	}
	return nil
}

// mayRaise tells whether box has CAP_SYS_RESOURCE where limits are kept: on the host.
func mayRaise() bool {
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective>>unix.CAP_SYS_RESOURCE&1 == 1
}

// parseUlimit reads NAME=SOFT or NAME=SOFT:HARD; -1 and unlimited are no limit.
func parseUlimit(spec string) (name string, limit unix.Rlimit, err error) {
	name, values, _ := strings.Cut(spec, "=")
	if _, ok := resources[name]; !ok {
		return name, limit, fmt.Errorf("there is no limit %q; setrlimit(2) has %s", name, strings.Join(slices.Sorted(maps.Keys(resources)), ", "))
	}
	soft, hard, both := strings.Cut(values, ":")
	if !both {
		hard = soft
	}
	if limit.Cur, err = parseRlimit(soft); err == nil {
		limit.Max, err = parseRlimit(hard)
	}
	if err == nil && limit.Cur > limit.Max {
		err = fmt.Errorf("the soft limit, %s, is above the hard one, %s", soft, hard)
	}
	return name, limit, err
}

func parseRlimit(text string) (uint64, error) {
	if text == "-1" || text == "unlimited" {
		return unix.RLIM_INFINITY, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number, or -1 for none", text)
	}
	return n, nil
}

func rlimitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "RLIM64_INFINITY"
	}
	return strconv.FormatUint(n, 10)
}

// Prlimit is prlimit64(2) of the process itself.
func (p *Plan) Prlimit(name string, limit unix.Rlimit) {
	text := fmt.Sprintf("{rlim_cur=%s, rlim_max=%s}", rlimitText(limit.Cur), rlimitText(limit.Max))
	p.Add("prlimit64", unix.SYS_PRLIMIT64, 0, plan.Sym(uintptr(resources[name]), "RLIMIT_"+strings.ToUpper(name)),
		plan.Ptr(unsafe.Pointer(&limit), text), nil).Why("--ulimit").
		Hint(unix.EPERM, "only CAP_SYS_RESOURCE raises a hard limit")
}

// masked are files and directories that tell too much of the host, as in Docker. By one of
// them, /proc/scsi, a container could even take a disk away (CVE-2017-16539).
var masked = []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
	"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"}

// readOnly are those that tell what programs want to know, and would change the host.
var readOnly = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}

// protect lays something over what shall not be seen, and makes the rest of /proc that
// changes the host read-only.
func (r *newRoot) protect(proc plan.Arg) error {
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
	thermal, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	if err != nil {
		return err
	}
	for _, path := range append(thermal, masked...) {
		r.mask(path)
	}
	if r.trees.IsSet() {
		r.SetMountAlone(r.trees, rdOnly)
	}
	return nil
}

// mask hides a path: a directory under an empty one, a file under /dev/null.
func (r *newRoot) mask(path string) {
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	var cover plan.Arg
	if info.IsDir() {
		cover = r.NewMount("tmpfs", rdOnly|noSuid|noDev|noExec, "mode=555")
	} else {
		cover = r.CopyMount(r.dev, "null").Result()
	}
	r.Attach(cover, plan.Cwd, path).Why(path + " tells of the host")
}

// namespaced are the settings below /proc/sys that belong to a namespace, by prefix.
var namespaced = map[string]uint64{
	"net.": unix.CLONE_NEWNET, "fs.mqueue.": unix.CLONE_NEWIPC,
	"kernel.msg": unix.CLONE_NEWIPC, "kernel.sem": unix.CLONE_NEWIPC, "kernel.shm": unix.CLONE_NEWIPC,
}

// sysctls writes the --sysctl settings (proc(5)): those of the container's own namespaces.
func (r *newRoot) sysctls() error {
	for _, spec := range r.Sysctl {
		name, value, given := strings.Cut(spec, "=")
		kind := uint64(0)
		for prefix, k := range namespaced {
			if strings.HasPrefix(name, prefix) {
				kind = k
			}
		}
		switch {
		case !given || name == "" || strings.Contains(name, "/"):
			return fmt.Errorf("--sysctl %s: give NAME=VALUE, the name with dots: net.ipv4.ip_forward=1", spec)
		case kind == 0:
			return fmt.Errorf("--sysctl %s: %s is the whole host's; a container has kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* and net.* of its own", spec, name)
		case r.Clone.Flags&kind == 0:
			return fmt.Errorf("--sysctl %s: the container shares this namespace with the host, whose setting it is", spec)
		}
		file := r.Open(plan.Cwd, "/proc/sys/"+strings.ReplaceAll(name, ".", "/"), unix.O_RDWR).Hint(unix.ENOENT, "there is no setting "+name).Result()
		r.Write(file, value).Why("--sysctl").Hint(unix.EINVAL, "the kernel does not take this value for "+name)
		r.Close(file)
	}
	return nil
}
