// Package vm boots virtual machines with a kernel of their own, in which cgroup version 2 has
// every controller. A [Machine] is what the playground's terminals are in; a [Job] is a program
// that one is booted for, with nothing but busybox installed. The machine is QEMU, and a job's
// is without hardware support, so it runs on any host, slowly: nothing is to be timed in it.
// Its leftovers are gone when it is switched off.
package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"stagebox/lessons/internal/agent"
	"stagebox/lessons/internal/stages"
)

// Job is a program to run, and what to bring along.
type Job struct {
	Command []string // the program's path inside, and its arguments
	Files   []File
	Memory  int    // of the machine, in MiB
	CPUs    int    // as in Options
	Offline int    // as in Options
	Disk    string // a file of the host that is /dev/vda inside, or ""

	Silence time.Duration // after so long without output the machine is taken to hang; 0: never
}

// File is a copy of a file of the host, inside.
type File struct{ From, To string }

// Program is a program of the host's, inside, and the libraries that ldd(1) lists for it.
func Program(name, to string) ([]File, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w", path, err)
	}
	files := []File{{From: path, To: to}}
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			files = append(files, File{From: word, To: word})
		}
	}
	return files, nil
}

// modules are loaded before a program runs, because inside a container that is not allowed.
var modules = []string{"overlay", "veth", "bridge", "br_netfilter", "tun", "fuse", "loop", "dummy",
	"nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_compat", "nft_fib_ipv4", "nft_fib_ipv6", "nft_fib_inet",
	"virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "ext4", "af_packet"}

// BuildAgent compiles the agent, in a directory that must exist, and returns its path.
func BuildAgent(ctx context.Context, dir string) (string, error) {
	root, err := stages.Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "agent")
	return program, stages.Compile(ctx, root, "./lessons/internal/agent/program", program)
}

// Run runs a job to its end, writes what it prints to out, and returns its exit status.
func (j Job) Run(ctx context.Context, out io.Writer) (status int, err error) {
	root, err := j.root(ctx)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	m, err := Boot(ctx, root, Options{Memory: j.Memory, CPUs: j.CPUs, Offline: j.Offline, Cgroups: "v2", Accel: "tcg", Disk: j.Disk, Silence: j.Silence})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	if status, err = m.output(j.Command, out); err != nil {
		return 0, errors.Join(m.Close(), m.why())
	}
	return status, nil
}

// root is the first root file system.
func (j Job) root(ctx context.Context) (*Root, error) {
	h, err := findHost()
	if err == nil {
		err = h.needsBusybox()
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "stagebox-vm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program, err := BuildAgent(ctx, dir)
	if err != nil {
		return nil, err
	}
	root, err := NewRoot(program)
	if err != nil {
		return nil, err
	}
	for _, f := range append(j.Files, File{h.busybox, "/bin/busybox"}) {
		root.File(f)
	}
	root.busybox()
	return root, root.Finish()
}

// busybox makes a system of busybox's tools. The programs that a job brings along come first.
func (r *Root) busybox() {
	r.Link("/bin/sh", "busybox")
	r.Link("/sbin/modprobe", "/bin/busybox") // where the kernel looks for it
	r.Text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
	r.Text("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
	r.Start("/bin/busybox --install -s /usr/bin 2>/dev/null\ntrue\n")
}

// output runs a program without a terminal to its end.
func (m *Machine) output(command []string, out io.Writer) (int, error) {
	process, err := m.Start(agent.Request{Argv: command, Dir: "/root"})
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(out, process); err != nil {
		return 0, err
	}
	return process.Wait()
}
