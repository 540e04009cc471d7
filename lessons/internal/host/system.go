// What every stage needs: the kernel, the processor, the place where it runs, Go and git.
package host

import (
	"fmt"
	"io/fs"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// features are what box uses that is younger than the oldest kernels in use.
var features = []struct {
	major, minor int
	what         string
}{
	{5, 3, "clone3 and pidfd_open"},
	{5, 6, "time namespaces"},
	{5, 7, "CLONE_INTO_CGROUP"},
	{5, 11, "overlay for ordinary users and close_range(CLOEXEC)"},
	{5, 14, "cgroup.kill"},
}

var releaseNumbers = regexp.MustCompile(`^(\d+)\.(\d+)`)

// Kernel is the release of the running kernel.
func (h *Host) Kernel() string { return h.read("/proc/sys/kernel/osrelease") }

// kernel never says no: distributions bring back what is younger than their number, and
// the trials of the later stages know better.
func kernel(h *Host) Finding {
	m := releaseNumbers.FindStringSubmatch(h.Kernel())
	if m == nil {
		return limited("/proc/sys/kernel/osrelease cannot be read: is /proc mounted?", h.asRoot("mount -t proc proc /proc"))
	}
	major, _ := strconv.Atoi(m[1]) // digits, by the expression above
	minor, _ := strconv.Atoi(m[2])
	older := func(a, b int) bool { return major < a || major == a && minor < b }
	if !older(5, 15) {
		return fine("", "Linux "+h.Kernel()+" (5.15 or newer is wanted)")
	}
	var lacks []string
	for _, f := range features {
		if older(f.major, f.minor) {
			lacks = append(lacks, fmt.Sprintf("%s (%d.%d)", f.what, f.major, f.minor))
		}
	}
	told := "Linux " + h.Kernel() + " is older than 5.15"
	if len(lacks) > 0 {
		told += "; unless the distribution brought it back, it lacks " + strings.Join(lacks, ", ")
	}
	return limited(told, "upgrade the distribution, or boot a newer kernel of it")
}

func machine(h *Host) Finding {
	switch h.Machine {
	case "x86_64", "aarch64":
		return fine("", h.Machine)
	}
	return limited(h.Machine + ": the stages are tested on x86_64 and aarch64 only")
}

// Place says where the host runs: "in a Docker container", "under WSL 2"; "" for a machine of its own.
func (h *Host) Place() string {
	switch wsl := h.wsl(); {
	case h.container() != "":
		return "in a " + h.container() + " container"
	case wsl != 0:
		return fmt.Sprintf("under WSL %d", wsl)
	case h.virtual():
		return "in a virtual machine"
	}
	return ""
}

func place(h *Host) Finding {
	switch {
	case h.wsl() == 1:
		return missing("WSL 1 only imitates Linux system calls: there are no namespaces", "in Windows: wsl --set-version DISTRIBUTION 2")
	case h.container() != "":
		return fine("", h.Place()+": what is missing below may be its wall, and not the host's")
	case h.Place() != "":
		return fine("", h.Place())
	}
	return fine("", "neither in a container nor in a virtual machine that shows itself")
}

// The host's own PID namespace has this number on every kernel (PROC_PID_INIT_INO).
const firstPIDNamespace = "pid:[4026531836]"

// container names what made the container that this is, "" for a machine. A machine that
// was made from an image may carry the mark of Docker without being a container.
func (h *Host) container() string {
	if link, err := fs.ReadLink(h.Files, "proc/self/ns/pid"); err == nil && link == firstPIDNamespace {
		return ""
	}
	switch {
	case h.exists("/.dockerenv"):
		return "Docker"
	case h.exists("/run/.containerenv"):
		return "podman"
	case h.read("/run/systemd/container") != "":
		return h.read("/run/systemd/container")
	case h.Env("KUBERNETES_SERVICE_HOST") != "":
		return "Kubernetes"
	}
	return h.Env("container")
}

// wsl is the version of the Windows Subsystem for Linux, 0 elsewhere.
func (h *Host) wsl() int {
	switch release := h.Kernel(); {
	case strings.HasSuffix(release, "-Microsoft"):
		return 1
	case strings.Contains(strings.ToLower(release), "microsoft"):
		return 2
	}
	return 0
}

// virtual asks the firmware's name, and the flag that hypervisors set on x86.
func (h *Host) virtual() bool {
	firmware := h.read("/sys/class/dmi/id/sys_vendor") + " " + h.read("/sys/class/dmi/id/product_name")
	for _, name := range []string{"QEMU", "KVM", "VMware", "VirtualBox", "Virtual Machine", "Xen", "Parallels", "Amazon EC2", "Google Compute Engine"} {
		if strings.Contains(firmware, name) {
			return true
		}
	}
	for _, line := range h.lines("/proc/cpuinfo") {
		if strings.HasPrefix(line, "flags") {
			return strings.Contains(line+" ", " hypervisor ")
		}
	}
	return false
}

func goTool(h *Host) Finding {
	if h.program("go") == "" {
		return limited("go is not in PATH: no stage can be built here, though a built box runs", "export PATH=$PATH:/usr/local/go/bin   # or install Go: go.dev/dl")
	}
	return fine("", strings.Replace(runtime.Version(), "go", "Go ", 1)+", "+h.program("go"))
}

func git(h *Host) Finding {
	if h.program("git") == "" {
		return limited("git is not installed: the workbench cannot carry changes between stages", h.install("git"))
	}
	return fine("", h.program("git"))
}
