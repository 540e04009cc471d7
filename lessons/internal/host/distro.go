// How this distribution mends things: os-release(5) says which it is, and one table says
// what it calls a package.
package host

import (
	"slices"
	"strings"
)

// The families of distributions whose commands are known, by the ID of the eldest.
const (
	debian = "debian"
	fedora = "fedora"
	alpine = "alpine"
	arch   = "arch"
)

// packages says in which package a program is.
var packages = map[string]map[string]string{
	"git":             {debian: "git", fedora: "git", alpine: "git", arch: "git"},
	"newuidmap":       {debian: "uidmap", fedora: "shadow-utils", alpine: "shadow-uidmap", arch: "shadow"},
	"pasta":           {debian: "passt", fedora: "passt", alpine: "passt", arch: "passt"},
	"ca-certificates": {debian: "ca-certificates", fedora: "ca-certificates", alpine: "ca-certificates", arch: "ca-certificates"},
	"ip":              {debian: "iproute2", fedora: "iproute", alpine: "iproute2", arch: "iproute2"},
	"ps":              {debian: "procps", fedora: "procps-ng", alpine: "procps", arch: "procps-ng"},
	"npm":             {debian: "npm", fedora: "nodejs-npm", alpine: "npm", arch: "npm"},
	"hostname":        {debian: "hostname", fedora: "hostname", alpine: "busybox", arch: "inetutils"},
	"mount":           {debian: "mount", fedora: "util-linux", alpine: "util-linux", arch: "util-linux"},
	"ls":              {debian: "coreutils", fedora: "coreutils", alpine: "busybox", arch: "coreutils"},
}

// coreutils are the tools that come with ls.
var coreutils = []string{"cat", "id", "sleep"}

// release returns a field of os-release, such as ID.
func (h *Host) release(field string) string {
	for _, file := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if value := setting(h.lines(file), field); value != "" {
			return value
		}
	}
	return ""
}

// setting is the value of NAME=value or NAME="value", "" if there is none.
func setting(lines []string, name string) string {
	for _, line := range lines {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key == name {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// Distribution is the name that the distribution gives itself.
func (h *Host) Distribution() string {
	if name := h.release("PRETTY_NAME"); name != "" {
		return name
	}
	return "a distribution without /etc/os-release"
}

// family is the distribution whose commands this one understands, "" if none of ours.
func (h *Host) family() string {
	for _, id := range strings.Fields(h.release("ID") + " " + h.release("ID_LIKE")) {
		if id == "rhel" || id == "centos" {
			id = fedora
		}
		if slices.Contains([]string{debian, fedora, alpine, arch}, id) {
			return id
		}
	}
	return ""
}

// install is the command that installs a program.
func (h *Host) install(program string) string {
	if slices.Contains(coreutils, program) {
		program = "ls"
	}
	family := h.family()
	name := packages[program][family]
	commands := map[string]string{debian: "apt-get install ", fedora: "dnf install ", alpine: "apk add ", arch: "pacman -S "}
	if name == "" {
		return "install the package that holds " + program
	}
	return h.asRoot(commands[family] + name)
}

// asRoot is a command as the user who asks must type it.
func (h *Host) asRoot(command string) string {
	switch {
	case h.UID == 0:
		return command
	case h.family() == alpine && h.program("sudo") == "":
		return "doas " + command
	}
	return "sudo " + command
}

// set is the command that sets a sysctl until the next boot.
func (h *Host) set(sysctl, value string) string {
	return h.asRoot("sysctl -w " + sysctl + "=" + value)
}

// module is what to do when the kernel lacks a part that is usually a module.
func (h *Host) module(name string) string {
	switch {
	case h.container() != "":
		return "on the machine that runs this container: sudo modprobe " + name
	case !h.exists("/lib/modules/" + h.Kernel()):
		return "/lib/modules has nothing for the running kernel " + h.Kernel() + ": reboot after a kernel upgrade, or install its modules"
	}
	return h.asRoot("modprobe " + name)
}
