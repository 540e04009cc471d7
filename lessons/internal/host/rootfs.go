// Stage 03: changing the root, a terminal of its own, and the protections: capabilities(7),
// seccomp(2), no_new_privs; and the host's tools, of which the image `tiny` is made.
package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func pivotRoot(h *Host) Finding {
	switch o := h.tried("pivot_root"); {
	case !o.Tried():
		return Finding{}
	case o.OK():
		return fine("", "the root can be exchanged, and the old one let go")
	case o.Errno == unix.EINVAL:
		return missing(o.String()+": the present root is the initramfs, which pivot_root(2) refuses", "boot from a disk, or let the init copy itself to a tmpfs and switch_root")
	default:
		why, mend := h.refusal("mnt", o)
		return missing("pivot_root: "+why, mend)
	}
}

func devpts(h *Host) Finding {
	switch o := h.tried("devpts"); {
	case !o.Tried():
		return Finding{}
	case o.OK():
		return fine("", "a container can have a devpts of its own")
	default:
		return limited(o.String() + ": containers get no terminal of their own (-t)")
	}
}

func seccomp(h *Host) Finding {
	actions := h.sysctl("kernel.seccomp.actions_avail")
	if !slices.Contains(strings.Fields(actions), "errno") {
		return limited("this kernel has no seccomp filters: every system call stays open to a container", "boot a kernel of your distribution")
	}
	if h.status("Seccomp") == "2" {
		return fine("", "filters are there, and one is on us already: "+actions)
	}
	return fine("", "filters are there: "+actions)
}

// capabilityNames are in the order of their numbers in <linux/capability.h>.
var capabilityNames = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
	SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
	AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON
	BPF CHECKPOINT_RESTORE`)

// capabilities are of interest to root. An ordinary user has all of them, inside.
func capabilities(h *Host) Finding {
	if h.UID != 0 {
		return fine("", "a user namespace gives all of them, for what belongs to it")
	}
	without := h.lacking()
	if len(without) == 0 {
		return fine("", "root has them all")
	}
	told := "root lacks " + strings.Join(without, ", ")
	if slices.Contains(without, "CAP_SYS_RESOURCE") {
		told += " (no hard limit can be raised)"
	}
	if h.container() != "" {
		return limited(told, h.privileged())
	}
	return limited(told + "; box gives a container what there is")
}

// lacking lists the capabilities that the kernel has and our bounding set has not: nothing
// that we start can have them.
func (h *Host) lacking() (names []string) {
	bounding, err := strconv.ParseUint(h.status("CapBnd"), 16, 64)
	last, err2 := strconv.Atoi(h.sysctl("kernel.cap_last_cap"))
	if err != nil || err2 != nil {
		return nil
	}
	for i, name := range capabilityNames {
		if i <= last && bounding&(1<<i) == 0 {
			names = append(names, "CAP_"+name)
		}
	}
	return names
}

func noNewPrivs(h *Host) Finding {
	if h.status("NoNewPrivs") == "1" {
		return limited("no_new_privs is set on this process: sudo and newuidmap give no rights", "start from another session: what set it cannot take it back")
	}
	return fine("", "not set: programs such as newuidmap may gain rights")
}

func landlock(h *Host) Finding {
	if h.tried("landlock").OK() {
		return fine("", "there; box does not need it")
	}
	return fine("no landlock", "not in this kernel; box does not need it")
}

// The image `tiny` is made of these, among others.
var tools = []string{"sh", "ls", "cat", "ps", "mount", "id", "hostname", "ip", "sleep"}

func hostTools(h *Host) Finding {
	var without, mend []string
	for _, tool := range tools {
		if h.program(tool) != "" {
			continue
		}
		without = append(without, tool)
		if how := h.install(tool); !slices.Contains(mend, how) {
			mend = append(mend, how)
		}
	}
	told := fmt.Sprintf("the host has no %s, and so the image tiny has none", strings.Join(without, ", "))
	switch {
	case slices.Contains(without, "sh"):
		return missing(told, mend...)
	case len(without) > 0:
		return limited(told, mend...)
	}
	return fine("", "for the image tiny: "+strings.Join(tools, " "))
}
