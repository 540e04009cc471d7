package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"stagebox/lessons/internal/agent"
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
	kernels, _ := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
	if len(kernels) == 0 {
		missing = append(missing, part{"a kernel /boot/vmlinuz-*-cloud-amd64", "linux-image-cloud-amd64"})
	} else {
		h.kernel = slices.Max(kernels)
		h.modules = "/lib/modules/" + strings.TrimPrefix(h.kernel, "/boot/vmlinuz-")
	}
	return h, missingError(missing)
}

// needsBusybox looks for the tools of a machine that has none of the host's.
func (h *host) needsBusybox() (err error) {
	if h.busybox, err = exec.LookPath("busybox"); err != nil || !isStatic(h.busybox) {
		return missingError([]part{{"a static busybox", "busybox-static"}})
	}
	return nil
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

// Ready says what a machine of so many MiB lacks here, and how to mend it.
func Ready(memory int) error {
	h, err := findHost()
	if err != nil {
		return err
	}
	kernel, err := os.Open(h.kernel)
	if err != nil {
		return fmt.Errorf("the kernel for the virtual machine: %w; root makes it readable: chmod a+r %s", err, h.kernel)
	}
	kernel.Close()
	if free := available(); free >= 0 && free < memory {
		return fmt.Errorf("virtual machine of %d MiB: only %d MiB of memory available: free some, or lower --memory", memory, free)
	}
	return nil
}

// available is the memory, in MiB, that the kernel can give away without swapping; -1 when it
// does not say (proc_meminfo(5)).
func available() int {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d", &kib); n == 1 {
			return kib / 1024
		}
	}
	return -1
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

// withDependencies are the files of modules and of all that they need, in the order in which
// they can be loaded, from modules.dep: "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko …"
// (modules.dep(5)), where what is needed first is last. A module that is not there is part of
// the kernel, or is not needed.
func withDependencies(dep []byte, modules []string) []string {
	var files []string
	for line := range bytes.Lines(dep) {
		file, needs, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		if !slices.Contains(modules, strings.ReplaceAll(name, "-", "_")) {
			continue
		}
		for _, f := range slices.Backward(append([]string{file}, strings.Fields(needs)...)) {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files
}

// addModules adds modules, what they need, and the list by which the agent loads them.
func (h host) addModules(a *archive, modules []string) error {
	dep, err := os.ReadFile(filepath.Join(h.modules, "modules.dep"))
	if err != nil {
		return fmt.Errorf("the modules of %s: %w; run depmod", h.kernel, err)
	}
	files := withDependencies(dep, modules)
	var list strings.Builder
	for _, file := range files {
		content, err := unpacked(filepath.Join(h.modules, file))
		if err != nil {
			return fmt.Errorf("a module: %w", err)
		}
		content = unsigned(content)
		name := filepath.Join("/lib/modules", strings.TrimSuffix(file, filepath.Ext(file)))
		a.file(name, 0o644, int64(len(content)), bytes.NewReader(content))
		fmt.Fprintln(&list, name)
	}
	a.text(agent.ModulesFile, 0o644, list.String())
	return nil
}

// unsigned is a module without its signature, which is at its end (include/linux/module_signature.h
// of the kernel): to check that of every module takes a third of the time until the agent answers.
// The kernel then calls itself tainted, and loads it all the same.
func unsigned(module []byte) []byte {
	const magic, info = "~Module signature appended~\n", 12
	signed, found := bytes.CutSuffix(module, []byte(magic))
	if !found || len(signed) < info {
		return module
	}
	size := int(binary.BigEndian.Uint32(signed[len(signed)-4:])) + info
	if size > len(signed) {
		return module
	}
	return signed[:len(signed)-size]
}

// unpacked is the content of a module, which distributions compress in their own ways.
func unpacked(file string) ([]byte, error) {
	program := map[string]string{".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[filepath.Ext(file)]
	if program == "" {
		return os.ReadFile(file)
	}
	content, err := exec.Command(program, "-dcq", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%s -dc %s: %w", program, file, err)
	}
	return content, nil
}
