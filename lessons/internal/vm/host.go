package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// host is what a machine is made of here.
type host struct {
	qemu    string
	busybox string
	kernel  string // the file with it
	modules string // the directory with its modules
}

// part is something a machine needs, and the Debian package that has it.
type part struct{ what, pkg string }

// findHost looks for the parts, and names the packages of all that are missing.
func findHost() (h host, err error) {
	if runtime.GOARCH != "amd64" {
		return h, fmt.Errorf("the virtual machine is for x86-64, and this is %s", runtime.GOARCH)
	}
	var missing []part
	if h.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
		missing = append(missing, part{"the program qemu-system-x86_64", "qemu-system-x86"})
	}
	if h.busybox, err = exec.LookPath("busybox"); err != nil || !isStatic(h.busybox) {
		missing = append(missing, part{"a static busybox", "busybox-static"})
	}
	kernels, _ := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
	if len(kernels) == 0 {
		missing = append(missing, part{"a kernel /boot/vmlinuz-*-cloud-amd64", "linux-image-cloud-amd64"})
	} else {
		h.kernel = slices.Max(kernels)
		h.modules = "/lib/modules/" + strings.TrimPrefix(h.kernel, "/boot/vmlinuz-")
	}
	return h, missingError(missing)
}

// ErrMissing is why there is no machine where packages are missing.
var ErrMissing = errors.New("the virtual machine needs more than is installed")

func missingError(missing []part) error {
	if len(missing) == 0 {
		return nil
	}
	var whats, pkgs []string
	for _, m := range missing {
		whats, pkgs = append(whats, m.what), append(pkgs, m.pkg)
	}
	return fmt.Errorf("%w: %s; on Debian, root installs it: apt-get install --no-install-recommends %s",
		ErrMissing, strings.Join(whats, ", "), strings.Join(pkgs, " "))
}

// isStatic reports whether a program needs no other file: it names no interpreter.
func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// withDependencies are the files of modules and of all that they need, from modules.dep:
// "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko …" (modules.dep(5)). A module that
// is not there is part of the kernel, or is not needed.
func withDependencies(dep []byte, modules []string) []string {
	var files []string
	for line := range bytes.Lines(dep) {
		file, needs, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		if slices.Contains(modules, strings.ReplaceAll(name, "-", "_")) {
			files = append(append(files, file), strings.Fields(needs)...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// addModules adds modules, with the indexes by which modprobe(8) finds them.
func (h host) addModules(a *archive, modules []string) error {
	dep, err := os.ReadFile(filepath.Join(h.modules, "modules.dep"))
	if err != nil {
		return fmt.Errorf("the modules of %s: %w; run depmod", h.kernel, err)
	}
	indexes := []string{"modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.order"}
	for _, file := range append(indexes, withDependencies(dep, modules)...) {
		content, err := os.ReadFile(filepath.Join(h.modules, file))
		if err != nil {
			return fmt.Errorf("a module: %w", err)
		}
		a.file(filepath.Join(h.modules, file), 0o644, content)
	}
	return nil
}
