package agent

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroups is the kernel's parameter that says which version of cgroups the machine mounts: v2
// alone, v1 alone, or hybrid, which is both.
const Cgroups = "stagebox.cgroup="

const groups = "/sys/fs/cgroup"

// controllers are those of version 1 that a distribution mounts.
var controllers = []string{"memory", "cpu,cpuacct", "pids", "cpuset", "blkio", "freezer", "devices"}

// mountCgroups mounts the tree of version 2, or a tree for each controller of version 1. In
// hybrid, version 2 is beside them and has no controller.
func mountCgroups() error {
	switch parameter(Cgroups) {
	case "v1":
		return mountV1()
	case "hybrid":
		if err := mountV1(); err != nil {
			return err
		}
		return mountGroup("cgroup2", "unified", "")
	}
	return mount("cgroup2", groups, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "nsdelegate")
}

func mountV1() error {
	if err := mount("tmpfs", groups, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return err
	}
	for _, name := range controllers {
		if err := mountGroup("cgroup", name, name); err != nil {
			return err
		}
	}
	return nil
}

func mountGroup(kind, name, data string) error {
	dir := filepath.Join(groups, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return mount(kind, dir, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, data)
}

// parameter is what follows a name on the kernel's command line.
func parameter(name string) string {
	line, _ := os.ReadFile("/proc/cmdline") // without one, the default holds
	for _, word := range strings.Fields(string(line)) {
		if value, ok := strings.CutPrefix(word, name); ok {
			return value
		}
	}
	return ""
}
