package host

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// playMemory is what the playground's machine has, in MiB.
const playMemory = 1024

// playground looks for what `play` needs. It never says no: the stages work without it.
func playground(h *Host) Finding {
	if h.Machine != "x86_64" {
		return limited("the virtual machine of the playground is for x86_64 only: play --host has its shells here")
	}
	if without, mend := h.playLacks(); without != nil {
		return limited("the playground lacks "+strings.Join(without, ", "), mend...)
	}
	if h.exists("/dev/kvm") && h.Writes("/dev/kvm") != nil {
		return limited("the playground's machine boots slowly: you have no access to /dev/kvm until you are in the group kvm and log in again",
			h.asRoot("usermod -aG kvm $USER"))
	}
	return fine("", "for the playground: QEMU, a kernel for its machine, npm")
}

// playLacks are the playground's needs that are not met, and the commands that meet them.
func (h *Host) playLacks() (without, mend []string) {
	var debs []string
	if h.program("qemu-system-x86_64") == "" {
		without, debs = append(without, "qemu-system-x86_64"), append(debs, "qemu-system-x86")
	}
	kernels, _ := fs.Glob(h.Files, "boot/vmlinuz-*-cloud-amd64") // the pattern is well formed
	if len(kernels) == 0 {
		without, debs = append(without, "/boot/vmlinuz-*-cloud-amd64"), append(debs, "linux-image-cloud-amd64")
	}
	if len(debs) > 0 {
		mend = append(mend, h.asRoot("apt-get install --no-install-recommends "+strings.Join(debs, " ")))
	}
	if len(kernels) > 0 && !h.canRead(slices.Max(kernels)) {
		name := "/" + slices.Max(kernels)
		without, mend = append(without, "permission to read "+name), append(mend, h.asRoot("chmod a+r "+name))
	}
	if h.program("npm") == "" {
		without, mend = append(without, "npm (for the page; play --terminal needs none)"), append(mend, h.install("npm"))
	}
	if free, ok := h.freeMemory(); ok && free < playMemory {
		without = append(without, fmt.Sprintf("memory: %d MiB are available, its machine has %d (play --memory 512 takes less)", free, playMemory))
	}
	return without, mend
}

// canRead reports whether a file, named as in Files, can be opened.
func (h *Host) canRead(name string) bool {
	file, err := h.Files.Open(name)
	if err != nil {
		return false
	}
	return file.Close() == nil
}

// freeMemory is how many MiB are available, if the kernel says so (proc_meminfo(5)).
func (h *Host) freeMemory() (mib int, ok bool) {
	for _, line := range h.lines("/proc/meminfo") {
		var kib int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d", &kib); n == 1 {
			return kib / 1024, true
		}
	}
	return 0, false
}
