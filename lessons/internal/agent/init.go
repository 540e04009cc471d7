package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/host"
)

// Files by which the host tells the agent what to do, in the first root file system.
const (
	ModulesFile = "/etc/stagebox/modules" // modules to load, a path a line, in this order
	StartFile   = "/etc/stagebox/start"   // a shell script to run before the first request
)

// Main is the machine's first process, and the one that it starts to answer the host.
func Main() {
	err := errors.New("the agent is for process 1 of the virtual machine")
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = answer()
	case os.Getpid() == 1:
		err = Init()
	}
	fmt.Fprintln(os.Stderr, "agent:", err)
	if os.Getpid() == 1 {
		err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	fmt.Fprintln(os.Stderr, "agent:", err)
	os.Exit(1)
}

// Init makes a system of the first root file system, starts the process that answers the host,
// and then only takes leave of orphans: that is what process 1 is for.
func Init() error {
	for _, do := range []func() error{leaveRootfs, mountAll, loadModules, mountCgroups, settle} {
		if err := do(); err != nil {
			return err
		}
	}
	serve := exec.Command("/proc/self/exe", "serve")
	serve.Stdout, serve.Stderr = os.Stdout, os.Stderr
	if err := serve.Start(); err != nil {
		return err
	}
	if every, err := time.ParseDuration(parameter(Processes)); err == nil {
		go listProcesses(every)
	}
	for {
		switch pid, err := unix.Wait4(-1, nil, 0, nil); {
		case pid == serve.Process.Pid:
			return errors.New("the process that answers the host has ended")
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait4: %w", err)
		}
	}
}

// leaveRootfs covers the root file system that the kernel has unpacked by a bind mount of
// itself. pivot_root(2) refuses the first mount of all, which has no parent, and containers are
// to have roots of their own. The remount lets files take more than a tmpfs's half of the memory.
func leaveRootfs() error {
	const again = "/.root"
	err := os.Mkdir(again, 0o755)
	return errors.Join(err,
		mount("/", again, "", unix.MS_BIND, ""),
		os.Chdir(again),
		mount(again, "/", "", unix.MS_MOVE, ""),
		unix.Chroot("."), os.Chdir("/"), os.Remove(again),
		mount("", "/", "", unix.MS_REMOUNT, "size=80%"))
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// mounts are what a distribution mounts first.
var mounts = []struct {
	kind, target string
	flags        uintptr
	data         string
}{
	{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=755"},
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
	{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
}

func mountAll() error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := mount(m.kind, m.target, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "") // as a distribution's systemd does
}

// loadModules loads modules as insmod(8) does, before a container asks for them: in there it
// is not allowed.
func loadModules() error {
	list, err := os.ReadFile(ModulesFile)
	for _, name := range strings.Fields(string(list)) {
		err = errors.Join(err, loadModule(name))
	}
	return err
}

func loadModule(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("finit_module %s: %w", filepath.Base(name), err)
	}
	return nil
}

// settle gives the system its name, its loopback interface, and what the start file says.
func settle() error {
	err := errors.Join(unix.Sethostname([]byte("stagebox")), host.LoopbackUp(),
		os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
		os.Setenv("HOME", "/root"), os.Setenv("LANG", "C.UTF-8"), os.Setenv("TMPDIR", "/tmp"))
	if _, missing := os.Stat(StartFile); err != nil || missing != nil {
		return err
	}
	out, err := exec.Command("sh", StartFile).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", StartFile, err, out)
	}
	return nil
}

// answer finds the port to the host by its name, and serves it.
func answer() error {
	port, err := openPort()
	if err != nil {
		return err
	}
	return Serve(port)
}

// port is the port to the host. The kernel says that a file ends here while the host's side is
// not connected yet.
type port struct{ *os.File }

func (p port) Read(data []byte) (int, error) {
	for {
		n, err := p.File.Read(data)
		if n > 0 || err == nil || len(data) == 0 {
			return n, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func openPort() (port, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.TrimSpace(string(text)) == PortName {
			file, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(name)), os.O_RDWR, 0)
			return port{file}, err
		}
	}
	return port{}, errors.Join(fmt.Errorf("the machine has no port %s", PortName), err)
}
