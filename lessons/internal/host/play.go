package host

import (
	"io/fs"
	"strings"
)

// playground looks for what `play` needs. It never says no: the stages work without it.
func playground(h *Host) Finding {
	if h.Machine != "x86_64" {
		return limited("the virtual machine of the playground is for x86_64 only: play --host has its shells here")
	}
	var without, mend, debs []string
	if h.program("qemu-system-x86_64") == "" {
		without, debs = append(without, "qemu-system-x86_64"), append(debs, "qemu-system-x86")
	}
	if kernels, _ := fs.Glob(h.Files, "boot/vmlinuz-*-cloud-amd64"); len(kernels) == 0 { // the pattern is well formed
		without, debs = append(without, "/boot/vmlinuz-*-cloud-amd64"), append(debs, "linux-image-cloud-amd64")
	}
	if len(debs) > 0 {
		mend = append(mend, h.asRoot("apt-get install --no-install-recommends "+strings.Join(debs, " ")))
	}
	if h.program("npm") == "" {
		without, mend = append(without, "npm (for the page; play --terminal needs none)"), append(mend, h.install("npm"))
	}
	if without != nil {
		return limited("the playground lacks "+strings.Join(without, ", "), mend...)
	}
	return fine("", "for the playground: QEMU, a kernel for its machine, npm")
}
