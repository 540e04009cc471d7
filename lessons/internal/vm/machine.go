package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/agent"
)

// Options say what machine to boot.
type Options struct {
	Memory  int    // in MiB
	CPUs    int    // 0: two
	Offline int    // CPUs that are there too, until something inside writes 1 to their "online"
	Cgroups string // "v2", "v1" or "hybrid"
	Accel   string // "kvm", "tcg", or "auto": kvm where it brings the machine up in time
	Disk    string // a file of the host that is /dev/vda inside, or ""
	Net     bool   // whether it has a way out, by the host's user-mode network

	Silence time.Duration // after so long without a word from the agent, once it is up, it is taken to hang; 0: never
}

// Machine is one that runs. Its agent is asked for all that is done in it.
type Machine struct {
	*agent.Client
	Accel   string // "kvm" or "tcg", which is QEMU's own translator
	console *tail
	ended   chan struct{}
	err     error // of QEMU, once ended is closed
	stop    context.CancelCauseFunc
	cause   func() error // for which it was stopped; nil while it was not
}

// How long a machine with KVM may take, since a /dev/kvm that can be opened may still hang: when it
// is tried, and when it was asked for.
const (
	probe    = 3 * time.Second
	patience = time.Minute
)

// booting is how long any machine may take until its agent speaks: a busy host makes a minute of
// the 4 seconds.
const booting = 5 * time.Minute

// kvmDevice is that of KVM.
var kvmDevice = "/dev/kvm"

// Boot boots a machine from a root and waits until it answers. It ends with the context, with
// Close, and with this process, however that ends.
func Boot(ctx context.Context, root *Root, o Options) (*Machine, error) {
	h, err := findHost()
	if err != nil {
		return nil, err
	}
	switch o.Accel {
	case "kvm":
		return bootSoon(ctx, h, root, o, patience)
	case "auto":
		if m, err := bootSoon(ctx, h, root, o, probe); err == nil {
			return m, nil
		}
	}
	return boot(ctx, h, root, o, "tcg")
}

// bootSoon boots with KVM, or returns an error when that takes too long.
func bootSoon(ctx context.Context, h host, root *Root, o Options, limit time.Duration) (*Machine, error) {
	if err := mayUseKVM(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	tooLong := fmt.Errorf("KVM: no machine after %s; leave out --accel to do without", limit)
	late := time.AfterFunc(limit, func() { cancel(tooLong) })
	m, err := boot(ctx, h, root, o, "kvm")
	if !late.Stop() && err == nil {
		err = errors.Join(tooLong, m.Close())
	}
	if err != nil {
		cancel(err)
		return nil, err
	}
	return m, nil
}

// mayUseKVM says why this user cannot use KVM, and how to mend it.
func mayUseKVM() error {
	kvm, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("KVM: %w; root gives you access: usermod -aG kvm USER, then log in again", err)
	case err != nil:
		return fmt.Errorf("KVM: %w; leave out --accel to do without", err)
	}
	return kvm.Close()
}

// boot starts QEMU and waits for the agent's first word.
func boot(ctx context.Context, h host, root *Root, o Options, accel string) (*Machine, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	m := &Machine{Accel: accel, console: &tail{}, ended: make(chan struct{}), stop: stop, cause: func() error { return context.Cause(ctx) }}
	files := []*os.File{theirs, root.memory} // descriptors 3 and 4
	if accel == "tcg" {
		kernel, err := plainKernel(h.kernel)
		if err != nil {
			stop(err)
			return nil, errors.Join(err, theirs.Close(), ours.Close())
		}
		if kernel != nil {
			files, h.kernel = append(files, kernel), "/proc/self/fd/5"
			defer kernel.Close() // QEMU has answered, or has ended
		}
	}
	qemu := h.command(ctx, o, accel)
	qemu.Stdout, qemu.Stderr, qemu.ExtraFiles = m.console, m.console, files
	go m.run(qemu, theirs, ours)
	late := time.AfterFunc(booting, func() { stop(fmt.Errorf("%w: not up after %s", errHangs, booting)) })
	defer late.Stop()
	if m.Client, err = agent.Connect(m.watch(ours, o.Silence)); err != nil {
		return nil, errors.Join(m.Close(), m.why())
	}
	return m, nil
}

// Causes for which a machine is stopped, besides the end of its context.
var (
	errOff   = errors.New("the virtual machine was switched off")
	errHangs = errors.New("the virtual machine hangs")
)

// watch stops the machine when nothing more was read from the returned port for too long.
func (m *Machine) watch(port net.Conn, silence time.Duration) io.ReadWriteCloser {
	if silence == 0 {
		return port
	}
	timer := time.AfterFunc(silence, func() { m.stop(fmt.Errorf("%w: no output for %s", errHangs, silence)) })
	timer.Stop() // until the first word
	return watchedPort{port, func() { timer.Reset(silence) }}
}

type watchedPort struct {
	net.Conn
	heard func()
}

func (p watchedPort) Read(data []byte) (int, error) {
	n, err := p.Conn.Read(data)
	p.heard()
	return n, err
}

// run runs QEMU to its end. PR_SET_PDEATHSIG sends its signal when the thread ends that has
// started the child, so this thread stays.
func (m *Machine) run(qemu *exec.Cmd, theirs, ours interface{ Close() error }) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // Ctrl-C is for this process
	err := qemu.Start()
	theirs.Close()
	if err == nil {
		err = qemu.Wait()
	}
	m.err = err
	ours.Close() // who waits for the agent has its answer
	close(m.ended)
}

// commandLine is the kernel's. On a busy host the timer's interrupts come late: no_timer_check
// keeps the kernel from taking the timer for broken. The ciphers' self-tests take time that
// nothing here needs; so does a kernel that looks for another place, and memory that is cleared when
// it is given out.
const commandLine = "console=ttyS0 panic=-1 quiet loglevel=3 mitigations=off no_timer_check cryptomgr.notests nokaslr init_on_alloc=0"

// translatedCPU has what programs may ask for, and not what only guards the kernel (SMAP, SMEP) or
// gives it more addresses (LA57): QEMU pays for these with every access.
const translatedCPU = "max,la57=off,smap=off,smep=off"

// command is QEMU's command line. The kernel's log goes to its output, and the port of the
// agent to descriptor 3; descriptor 4 is the root, which is read from its beginning.
func (h host) command(ctx context.Context, o Options, accel string) *exec.Cmd {
	cpu, cpus := translatedCPU, cmp.Or(o.CPUs, 2)
	switch accel {
	case "kvm":
		cpu = "host"
	case "tcg":
		accel = "tcg,thread=multi"
	}
	line := commandLine + " " + agent.Cgroups + o.Cgroups
	if o.Offline > 0 {
		line += fmt.Sprintf(" maxcpus=%d", cpus)
	}
	if o.Silence > 0 { // what is left of a machine that hangs
		line += fmt.Sprintf(" %s%s", agent.Processes, o.Silence/3)
	}
	args := []string{"-M", "q35", "-accel", accel, "-cpu", cpu, "-smp", strconv.Itoa(cpus + o.Offline), "-m", strconv.Itoa(o.Memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", h.kernel, "-initrd", "/proc/self/fd/4", "-append", line,
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,fd=3",
		"-device", "virtserialport,chardev=agent,name=" + agent.PortName}
	if o.Disk != "" { // what the kernel inside has written is in the file, however the machine ends
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,file="+o.Disk)
	}
	if o.Net {
		args = append(args, "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=")
	}
	return exec.CommandContext(ctx, h.qemu, args...)
}

// socketPair is a stream with two ends: one for this process and one to hand on.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "agent")
	defer file.Close() // the connection has a copy
	conn, err := net.FileConn(file)
	return conn, os.NewFile(uintptr(fds[1]), "agent"), err
}

// Ended is closed when the machine has ended.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Console is what the kernel has said last.
func (m *Machine) Console() string { return m.console.String() }

// Close switches the machine off.
func (m *Machine) Close() error {
	m.stop(errOff)
	<-m.ended
	return nil
}

// why returns the reason for which a machine has ended, with the end of its console where that
// may help.
func (m *Machine) why() error {
	switch cause := m.cause(); {
	case errors.Is(cause, errHangs):
		return fmt.Errorf("%w\n%s", cause, m.Console())
	case cause != nil && !errors.Is(cause, errOff):
		return fmt.Errorf("the virtual machine: %w", cause)
	}
	return fmt.Errorf("the virtual machine ended early (%w): %s", m.err, strings.TrimSpace(m.Console()))
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8000

func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, data...)
	if n := len(t.text) - tailSize; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(data), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
