// Stage 01: can this user make each namespace, now; and if not, which of the kernel's
// many switches is off. namespaces(7), user_namespaces(7), subuid(5).
package host

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// newNamespaces reports all kinds at once, those that fail for one reason together.
func newNamespaces(h *Host) Finding {
	var names, whys, mend []string
	found := Finding{State: OK}
	failed := map[string][]string{}
	for _, ns := range namespaces {
		o := h.tried(ns.name)
		if !o.Failed() {
			names = append(names, ns.name)
			continue
		}
		found.State = max(found.State, h.need(ns.name))
		why, how := h.refusal(ns.name, o)
		if failed[why] == nil {
			whys = append(whys, why)
		}
		failed[why] = append(failed[why], ns.name)
		if how != "" && !slices.Contains(mend, how) {
			mend = append(mend, how)
		}
	}
	if found.State == OK {
		return fine(strings.Join(names, " "), "each can be made: "+strings.Join(names, " "))
	}
	for i, why := range whys {
		whys[i] = strings.Join(failed[why], " ") + ": " + why
	}
	found.Text, found.Mend = "cannot be made: "+strings.Join(whys, "; "), mend
	if h.UID != 0 && h.tried("user").Failed() {
		found.Text += "; an ordinary user needs it around all the others"
	}
	return found
}

// need is how bad it is to lack a kind of namespace. Root can do without a user namespace.
func (h *Host) need(ns string) State {
	if ns == "time" || ns == "cgroup" || ns == "user" && h.UID == 0 {
		return Less
	}
	return No
}

// refusal says why a namespace cannot be made, and the command that mends it, "" if none does.
func (h *Host) refusal(ns string, o Outcome) (why, mend string) {
	switch o.Errno {
	case unix.ENOSPC, unix.EUSERS:
		limit := "user.max_" + ns + "_namespaces"
		if h.sysctl(limit) == "0" {
			return limit + " is 0", h.set(limit, "15000")
		}
		return o.reason() + ": as many exist as " + limit + " allows, or 32 lie within each other", h.set(limit, "100000")
	case unix.EINVAL, unix.ENOSYS:
		return o.reason() + ": this kernel was built without", "boot a kernel of your distribution"
	case unix.EPERM, unix.EACCES:
		return h.forbidden(o)
	}
	return o.reason(), ""
}

// forbidden looks for who says "operation not permitted".
func (h *Host) forbidden(o Outcome) (why, mend string) {
	switch {
	case h.sysctl("kernel.unprivileged_userns_clone") == "0":
		return "kernel.unprivileged_userns_clone is 0", h.set("kernel.unprivileged_userns_clone", "1")
	case h.sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
		return "kernel.apparmor_restrict_unprivileged_userns is 1, which takes all rights from a user namespace",
			h.set("kernel.apparmor_restrict_unprivileged_userns", "0")
	case h.container() != "":
		return o.reason() + ": the container's seccomp or AppArmor profile, or a capability that it lacks", h.privileged()
	case h.UID == 0 && slices.Contains(h.lacking(), "CAP_SYS_ADMIN"):
		return o.reason() + ": root lacks CAP_SYS_ADMIN here", h.privileged()
	}
	return o.reason(), ""
}

// privileged is how a container is started so that containers run in it.
func (h *Host) privileged() string {
	switch h.container() {
	case "Docker":
		return "start this container with: docker run --privileged …"
	case "podman":
		return "start this container with: podman run --privileged …"
	}
	return "run this on the host itself, or in a privileged container"
}

func systemCalls(h *Host) Finding {
	var names []string
	for _, name := range []string{"clone3", "pidfd_open", "close_range"} {
		o := h.tried(name)
		if o.Failed() {
			mend := "upgrade the kernel: " + name + " is missing in it"
			if h.container() != "" {
				mend = h.privileged()
			}
			return missing(o.String()+": without it no container starts", mend)
		}
		names = append(names, name)
	}
	return fine(strings.Join(names, ", "), "the kernel answers to "+strings.Join(names, ", "))
}

// mountInside is about the right to mount at all, which AppArmor may keep from a process
// that was allowed a mount namespace.
func mountInside(h *Host) Finding {
	if o := h.tried("private"); o.Errno == unix.EINVAL {
		return missing(o.String()+": / is not a mount point, so this must be a chroot", "leave the chroot, or bind its directory onto itself before: mount --bind DIR DIR")
	}
	for _, name := range []string{"private", "tmpfs", "mkdir"} {
		if o := h.tried(name); o.Failed() {
			why, mend := h.refusal("mnt", o)
			return missing(o.Call+" inside a new mount namespace: "+why, mend)
		}
	}
	if !h.tried("tmpfs").OK() {
		return Finding{}
	}
	return fine("", "mount(2) works inside a new mount namespace")
}

func freshProc(h *Host) Finding {
	switch o := h.tried("proc"); {
	case !o.Tried():
		return Finding{}
	case o.OK():
		return fine("", "a new /proc can be mounted for a new PID namespace")
	default:
		why, mend := h.procRefusal(o)
		return missing("no new /proc can be mounted: "+why, mend)
	}
}

// procRefusal is about mount_too_revealing of the kernel's fs/namespace.c.
func (h *Host) procRefusal(o Outcome) (why, mend string) {
	if h.container() != "" {
		return o.reason() + ": parts of this container's /proc are masked, and a new one would show them",
			"start this container with: docker run --security-opt systempaths=unconfined …   # podman: --security-opt unmask=ALL"
	}
	return o.reason() + ": something is mounted over a part of /proc, and a new one would show what it hides", "findmnt -R /proc   # shows what it is"
}

func propagation(h *Host) Finding {
	root := h.mountOf("/")
	if slices.ContainsFunc(root.peers, func(p string) bool { return strings.HasPrefix(p, "shared:") }) {
		return fine("/ is shared", "/ is shared: what is mounted inside would show outside, so each stage makes it private first")
	}
	return fine("/ is private", "/ is not shared: what is mounted inside stays inside, with or without MS_PRIVATE; the lesson shows a shared one")
}

// ordinaryUsers tells root what would stop others.
func ordinaryUsers(h *Host) Finding {
	if h.UID != 0 || h.AsUser == nil {
		return Finding{}
	}
	for _, name := range []string{"user", "mnt", "pid", "tmpfs", "proc"} {
		if o := h.AsUser[name]; o.Failed() {
			why, mend := h.refusal(name, o)
			if name == "proc" {
				why, mend = h.procRefusal(o)
			}
			return limited("an ordinary user cannot run containers: "+why, mend)
		}
	}
	return fine("ordinary users too", "they can have user namespaces, and all others inside")
}

// idRange is a line of /etc/subuid or /etc/subgid.
type idRange struct {
	owner        string // a name or a number
	start, count int
}

// idRanges reads the whole file; lines that are not as they should be are skipped.
func (h *Host) idRanges(file string) (all []idRange) {
	for _, line := range h.lines(file) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 {
			continue
		}
		start, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil && start >= 0 && count > 0 {
			all = append(all, idRange{f[0], start, count})
		}
	}
	return all
}

// subordinate is what a file gives to the user who asks.
func (h *Host) subordinate(file string) (own []idRange) {
	for _, r := range h.idRanges(file) {
		if r.owner == h.User() || r.owner == strconv.Itoa(h.UID) {
			own = append(own, r)
		}
	}
	return own
}

// subordinateIDs looks for what maps more than one id into a user namespace.
func subordinateIDs(h *Host) Finding {
	const limit = "an ordinary user gets one id inside, root"
	for _, name := range []string{"newuidmap", "newgidmap"} {
		file := h.program(name)
		if file == "" {
			return limited(name+" is not installed: "+limit, h.install("newuidmap"))
		}
		if !h.hasRights(file) {
			return limited(file+" has neither its setuid bit nor capabilities: "+limit, h.asRoot("chmod u+s "+file))
		}
	}
	if h.UID == 0 {
		return fine("newuidmap", "newuidmap and newgidmap are installed for ordinary users; root maps ids without them")
	}
	if without := h.without(); len(without) > 0 {
		return limited(strings.Join(without, " and ")+" give no ids to "+h.User()+": "+limit, h.grant(without))
	}
	if o := h.AsUser["newuidmap"]; o.Failed() {
		return limited(o.String() + ": " + limit)
	}
	ids := h.subordinate("/etc/subuid")[0]
	return fine("", fmt.Sprintf("%s has %d ids from %d on, and newuidmap maps them", h.User(), ids.count, ids.start))
}

func (h *Host) hasRights(file string) bool {
	info, err := fs.Stat(h.Files, rel(file))
	return err == nil && info.Mode()&fs.ModeSetuid != 0 || h.HasCaps(file)
}

// without lists the files that give the user nothing.
func (h *Host) without() (files []string) {
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		if len(h.subordinate(file)) == 0 {
			files = append(files, file)
		}
	}
	return files
}

// grant is the command that gives the user 65536 ids that are unused.
func (h *Host) grant(files []string) string {
	first := 100000
	for _, r := range append(h.idRanges("/etc/subuid"), h.idRanges("/etc/subgid")...) {
		first = max(first, r.start+r.count)
	}
	return fmt.Sprintf("echo %s:%d:65536 | %s", h.User(), first, h.asRoot("tee -a "+strings.Join(files, " ")))
}
