// Package vm runs a program as root in a virtual machine with a kernel of its own, in
// which cgroup version 2 has every controller and nothing but busybox is installed. The
// machine is QEMU without hardware support, so it runs on any host, slowly: nothing is to
// be timed in it. Its leftovers are gone when it is switched off.
package vm

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Job is a program to run, and what to bring along.
type Job struct {
	Command []string // the program's path inside, and its arguments
	Files   []File
	Memory  int    // of the machine, in MiB
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

//go:embed init.sh
var initScript []byte

// modules are loaded before the program runs, because inside a container that is not allowed.
var modules = []string{"overlay", "veth", "bridge", "br_netfilter", "tun", "fuse", "loop", "dummy",
	"nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_compat", "nft_fib_ipv4", "nft_fib_ipv6", "nft_fib_inet",
	"virtio_pci", "virtio_console", "virtio_blk"}

// Run runs a job to its end, writes what it prints to out, and returns its exit status.
func (j Job) Run(ctx context.Context, out io.Writer) (status int, err error) {
	h, err := findHost()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "stagebox-vm")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	root, err := j.root(h)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "root"), root, 0o600); err != nil {
		return 0, err
	}
	return j.boot(ctx, h, dir, out)
}

// root is the first root file system, as an archive.
func (j Job) root(h host) ([]byte, error) {
	a := &archive{}
	for _, f := range append(j.Files, File{h.busybox, "/bin/busybox"}) {
		content, err := os.ReadFile(f.From)
		if err != nil {
			return nil, err
		}
		a.file(f.To, 0o755, content)
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/tmp", "/root", "/usr/bin"} {
		a.dir(dir)
	}
	a.link("/sbin/modprobe", "../bin/busybox") // where the kernel looks for it
	a.file("/init", 0o755, initScript)
	a.file("/run/modules", 0o644, []byte(strings.Join(modules, "\n")))
	a.file("/run/command", 0o644, []byte("exec "+quoted(j.Command)+"\n"))
	if err := h.addModules(a, modules); err != nil {
		return nil, err
	}
	return a.finish(), nil
}

// quoted is a command line for sh.
func quoted(words []string) string {
	var list []string
	for _, word := range words {
		list = append(list, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(list, " ")
}

// commandLine is the kernel's. On a busy host the timer's interrupts come late: no_timer_check
// keeps the kernel from taking the timer for broken.
const commandLine = "console=ttyS0 panic=-1 quiet loglevel=3 mitigations=off no_timer_check"

// boot runs the machine until the command has ended. Its serial line is the kernel's log. The
// machine ends with this process, however that ends: PR_SET_PDEATHSIG, prctl(2).
func (j Job) boot(ctx context.Context, h host, dir string, out io.Writer) (int, error) {
	log := filepath.Join(dir, "kernel.log")
	running, stop := context.WithCancel(ctx)
	defer stop()
	qemu := exec.CommandContext(running, h.qemu, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
		"-m", strconv.Itoa(j.Memory), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", h.kernel, "-initrd", filepath.Join(dir, "root"),
		"-append", commandLine, "-serial", "file:"+log,
		"-device", "virtio-serial-pci", "-chardev", "stdio,id=out,signal=off", "-device", "virtconsole,chardev=out")
	if j.Disk != "" { // what the kernel inside has written is in the file, however the machine ends
		qemu.Args = append(qemu.Args, "-drive", "if=virtio,format=raw,cache=unsafe,file="+j.Disk)
	}
	end := &ending{out: out, seen: stop}
	heard, hangs := j.watch(end, stop)
	var said bytes.Buffer
	qemu.Stdout, qemu.Stderr = heard, &said
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends that has started it
	defer runtime.UnlockOSThread()
	err := qemu.Run()
	if status, ok := end.status(); ok {
		return status, nil
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("the virtual machine: %w", context.Cause(ctx))
	}
	kernel, _ := os.ReadFile(log)
	kernel = kernel[max(0, len(kernel)-8000):]
	if hangs() {
		return 0, fmt.Errorf("the virtual machine hangs: no output for %s\n%s", j.Silence, kernel)
	}
	return 0, errors.Join(fmt.Errorf("the virtual machine ended before the command did: %s%s", said.String(), kernel), err)
}

// watch calls stop when nothing was written to the returned writer for too long; hangs reports
// whether it did.
func (j Job) watch(out io.Writer, stop func()) (heard io.Writer, hangs func() bool) {
	if j.Silence == 0 {
		return out, func() bool { return false }
	}
	timer := time.AfterFunc(j.Silence, stop)
	heard = writerFunc(func(data []byte) (int, error) {
		timer.Reset(j.Silence)
		return out.Write(data)
	})
	return heard, func() bool { return !timer.Stop() }
}

type writerFunc func(data []byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }
