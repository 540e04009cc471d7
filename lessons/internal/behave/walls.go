package behave

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/attack"
)

// The rows about what a hostile program in a container tries. The broken binary is the same
// one with that protection off: there the attack must succeed, or it would prove nothing.

// unwalled adds flags behind the root of a run.
func unwalled(flags string) string {
	return `[ "$1" = run ] && [ "$2" = --rootfs ] && { root=$3; shift 3; set -- run --rootfs "$root" ` + flags + ` "$@"; }
exec "$BOX" "$@"`
}

// anAttack is a row about an attack of package attack.
func anAttack(name string, who Who, off string, args ...string) Row {
	return Row{Name: name, Since: 3, For: who, Broken: unwalled(off),
		Check: func(b *Box) Seen { return b.attack(nil, args...) }}
}

// aScript is a row about an attack in shell, which says "got in" when it worked.
func aScript(name string, who Who, off, text string) Row {
	return Row{Name: name, Since: 3, For: who, Broken: unwalled(off),
		Check: func(b *Box) Seen {
			e := b.script("{ " + text + "; } 2>/dev/null && echo got in || echo refused")
			return keptOut(e)
		}}
}

// needing is a row for kernels that have a file below /proc.
func needing(file string, row Row) Row {
	row.Needs = file
	return row
}

// alone is a row that runs by itself.
func alone(why string, row Row) Row {
	row.Alone = why
	return row
}

var wallRows = []Row{{
	Name: "a program that breaks out of chroot finds itself in the container's root", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		secret := filepath.Join(b.Dir, "secret")
		if err := os.WriteFile(secret, nil, 0o644); err != nil {
			return failed(err)
		}
		return b.attack(nil, "chroot", secret)
	},
	Broken: `[ "$1" = run ] && { root=$3; shift 3; exec chroot "$root" "$@"; }
exec "$BOX" "$@"`,
},
	aScript("settings of the host in /proc/sys cannot be written", Root, "--privileged",
		`v=$(cat /proc/sys/kernel/core_pattern); printf "%s\n" "$v" >/proc/sys/kernel/core_pattern`),
	needing("sysrq-trigger", aScript("the kernel's emergency keys cannot be pressed", Root, "--privileged", `echo h >/proc/sysrq-trigger`)),
	alone("the broken one adds a tree of cgroups to those that every process is in",
		anAttack("no program can be named that the host runs when a cgroup is empty", Root, "--privileged --share cgroup", "releaseAgent")),
	aScript("cgroups cannot be made in the tree that is shown", Root, "--privileged",
		`for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do [ -e $d/cgroup.procs ] && break; done; mkdir $d/attack && rmdir $d/attack`),
	needing("kcore", aScript("the kernel's memory cannot be read through /proc/kcore", Root, "--privileged", `dd if=/proc/kcore bs=4 count=1 | grep -q ELF`)),
	aScript("the kernel's list of timers is empty", Root, "--privileged", `[ -n "$(cat /proc/timer_list)" ]`),
	aScript("/sys/firmware is empty", Root, "--privileged", `[ -n "$(ls /sys/firmware)" ]`),
	aScript("nothing can be written in /sys", Root, "--privileged", `touch -c /sys/kernel/uevent_helper; for f in /sys/kernel/mm/transparent_hugepage/khugepaged/defrag; do v=$(cat $f); echo $v >$f; done`),
	{
		Name: "a disk's node can be made, and not opened", Since: 3, For: Root,
		Check:  openDisk,
		Broken: unwalled("--privileged"),
	},
	aScript("the kernel's memory cannot be opened through a node that was made", Root, "--privileged",
		`rm -f /tmp/kmsg; mknod /tmp/kmsg c 1 11 || exit 3; dd if=/tmp/kmsg bs=1 count=0`),
	anAttack("the keys of the session cannot be used", 0, "--security-opt seccomp=unconfined", "keyring"),
	{
		Name: "no kernel module can be loaded", Since: 3, For: Root, Needs: "modules",
		Check:  func(b *Box) Seen { return b.attack(nil, "module") },
		Broken: unwalled("--privileged"),
	},
	anAttack("no user namespace can be made", 0, "--security-opt seccomp=unconfined", "userns"),
	anAttack("no mount namespace can be made", 0, "--privileged", "mountns"),
	anAttack("nothing can be mounted", 0, "--privileged", "mount"),
	anAttack("nothing can be unmounted, so that what is below would be seen", 0, "--privileged", "umount"),
	alone("the broken one sets the host's clock", anAttack("the clock cannot be set", Root, "--privileged", "time")),
	anAttack("the host name cannot be changed", 0, "--privileged", "hostname"),
	anAttack("no process can be given a higher priority", Root, "--privileged", "nice"),
	anAttack("the kernel's messages cannot be read", Root, "--privileged", "syslog"),
	{
		Name: "memory of the host's processes cannot be read, even where they are seen", Since: 3, For: Root,
		Check:  otherMemory,
		Broken: unwalled("--privileged"),
	}, {
		Name: "the caller's environment cannot be read from the PID 1 of --init", Since: 3, For: Root,
		Check: func(b *Box) Seen {
			return keptOut(b.script("cat /proc/1/environ >/dev/null 2>&1 && echo got in || echo refused", "--init"))
		},
		Broken: unwalled("--privileged"),
	}, {
		Name: "no-new-privileges: a setuid program gives nothing", Since: 3, For: Root,
		Check:  setuid,
		Broken: drop("--security-opt | no-new-privileges"),
	}, {
		Name: "without -t the caller's terminal cannot be typed into", Since: 3,
		Check: typing,
		Broken: `[ "$1" = run ] && { root=$3; program=$4; shift 4; set -- run "$root$program" "$@"; }
exec "$BOX" "$@"`,
	}, {
		Name: "a descriptor of the caller's is not a way out, as working directory", Since: 3,
		Check: leakedDirectory,
		Broken: `[ "$1" = run ] && { cd / && exec ls; }
exec "$BOX" "$@"`,
	}, {
		Name: "symbolic links in the root are followed inside, or refused", Since: 3,
		Check:  hostileLinks,
		Broken: early,
	}, {
		Name: "exec's command makes files as the container's do, whatever the caller's umask is", Since: 3,
		Check: func(b *Box) Seen {
			root, err := b.root()
			if err != nil {
				return failed(err)
			}
			c, err := b.Cat("run", "--rootfs", root, "cat")
			if err != nil {
				return failed(err)
			}
			return printed("0022", b.prepare("sh", "-c", `umask 077; exec "$0" exec "$1" sh -c umask`, b.path, c.pid()).toItsEnd())
		},
		Broken: `[ "$1" = exec ] && exec "$BOX" exec "$2" sh -c 'umask 077; umask'
exec "$BOX" "$@"`,
	}, {
		Name: "no process that exec brings in can be traced from inside", Since: 3, For: Root,
		Check: incoming,
		Broken: `[ "$1" = exec ] && exec "$BOX" exec "$2" sh -c 'sleep 0.2; :'
exec "$BOX" "$@"`,
	}}

// early makes a container in which what is to be mounted on is made before the root changes.
const early = `[ "$1" = run ] && { root=$3; shift 5; exec unshare -rm sh -c '
	mkdir -p "$0/dev/shm" "$0/data/below" "$0/etc"
	echo box >"$0/etc/hostname"; exec chroot "$0" "$@"' "$root" "$@"; }
exec "$BOX" "$@"`

// openDisk has mknod make the node of the first disk that can be opened outside.
func openDisk(b *Box) Seen {
	major, minor, found := openableDisk()
	if !found {
		return Seen{Cannot: "this host has no disk, or none that root may open"}
	}
	return keptOut(b.script(fmt.Sprintf(`rm -f /tmp/disk; mknod /tmp/disk b %s %s || exit 3
dd if=/tmp/disk bs=1 count=0 2>/dev/null && echo got in || echo refused`, major, minor)))
}

// openableDisk is the first disk that opens for its own node. Where none does, a refusal
// inside would say nothing. Loop devices come and go: they are taken only when there is no other.
func openableDisk() (major, minor string, found bool) {
	const loopMajor = "7"
	for _, disk := range append(disks(func(major string) bool { return major != loopMajor }),
		disks(func(major string) bool { return major == loopMajor })...) {
		if file, err := os.Open("/dev/" + disk[3]); err == nil {
			file.Close()
			return disk[0], disk[1], true
		}
	}
	return "", "", false
}

// disks are the lines of /proc/partitions about some disks: the numbers, the size, the name.
func disks(wanted func(major string) bool) (list [][]string) {
	partitions, _ := os.ReadFile("/proc/partitions") // without it there is none
	for line := range strings.Lines(string(partitions)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] != "major" && wanted(fields[0]) {
			list = append(list, fields)
		}
	}
	return list
}

// otherMemory attacks a process that we have started outside.
func otherMemory(b *Box) Seen {
	victim := exec.Command("sleep", "1000")
	victim.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := victim.Start(); err != nil {
		return failed(err)
	}
	defer func() {
		victim.Process.Kill()
		victim.Wait()
	}()
	return all(b.attack([]string{"--share", "pid"}, "readv", itoa(victim.Process.Pid)),
		b.attack([]string{"--share", "pid"}, "ptrace", itoa(victim.Process.Pid)))
}

// setuid runs a copy of the attacker that belongs to root and has the setuid bit, as another user.
func setuid(b *Box) Seen {
	root, err := b.ownRoot()
	if err != nil {
		return failed(err)
	}
	if err := os.Chmod(filepath.Join(root, attack.Name), 0o755|os.ModeSetuid); err != nil {
		return failed(err)
	}
	return keptOut(b.Run("run", "--rootfs", root, "--user", "1000:1000", "--security-opt", "no-new-privileges", "/"+attack.Name, "euid"))
}

// typing has the attacker type into the terminal of the run.
func typing(b *Box) Seen {
	if data, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti"); err == nil && strings.TrimSpace(string(data)) == "0" {
		return Seen{Cannot: "this kernel lets no process type into a terminal (sysctl dev.tty.legacy_tiocsti)"}
	}
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	c, err := b.StartAtTerminal("", "run", "--rootfs", root, "/"+attack.Name, "tiocsti")
	if err != nil {
		return failed(err)
	}
	return holds(strings.HasPrefix(c.First, "refused"), "refused", c.First)
}

// leakedDirectory leaves the host's root open for the binary, and names each descriptor
// as the directory to start in (CVE-2024-21626).
func leakedDirectory(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	marker := filepath.Join(b.Dir, "marker")
	if err := os.WriteFile(marker, nil, 0o644); err != nil {
		return failed(err)
	}
	var parts []Seen
	for fd := 3; fd < 14; fd++ {
		text := fmt.Sprintf(`exec 8</; exec "$0" run --rootfs "$1" --workdir /proc/self/fd/%d ls -d "./$2"`, fd)
		e := b.prepare("sh", "-c", text, b.path, root, marker).toItsEnd()
		parts = append(parts, ended(e.Status != 0 && e.Stdout == "", "not the host's files", e))
	}
	return all(parts...)
}

// hostileLinks has a root whose directories and files are links to a directory outside.
func hostileLinks(b *Box) Seen {
	hostile, err := b.ownRoot()
	if err != nil {
		return failed(err)
	}
	outside := filepath.Join(b.Dir, "outside")
	if err := os.Mkdir(outside, 0o777); err != nil {
		return failed(err)
	}
	var parts []Seen
	for _, name := range []string{"proc", "dev", "sys", "etc/hosts", "etc/hostname", "etc", "data"} {
		link := filepath.Join(hostile, name)
		saved := link + ".saved"
		if err := os.Rename(link, saved); err != nil && name != "data" {
			return failed(err)
		}
		target := outside
		if name == "etc/hosts" || name == "etc/hostname" {
			target = outside + "/file"
		}
		if err := os.Symlink(target, link); err != nil {
			return failed(err)
		}
		e := b.Run("run", "--rootfs", hostile, "-v", b.Dir+":/data/below", "sh", "-c", "echo inside >/data/mine")
		left, err := os.ReadDir(outside)
		if err != nil {
			return failed(err)
		}
		parts = append(parts, ended(len(left) == 0 && (e.Status == 0 || e.Status == 125), "nothing outside was touched", e))
		if name == "proc" || name == "dev" || name == "sys" {
			parts = append(parts, refused(e))
		}
		os.RemoveAll(filepath.Join(hostile, "data"))
		if name != "data" {
			if err := errors.Join(os.Remove(link), os.Rename(saved, link)); err != nil {
				return failed(err)
			}
		}
	}
	return all(parts...)
}

// incoming has the attacker wait for what exec brings in (CVE-2016-9962), until it has been
// killed or was successful. After that nothing can be brought in any more.
func incoming(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	c, err := b.Start("run", "--rootfs", root, "/"+attack.Name, "traceIncoming")
	if err != nil {
		return failed(err)
	}
	broughtIn := 0
	for range 20 {
		e := b.Run("exec", c.pid(), "/"+attack.Name, "nothing")
		if e.Err != nil {
			return failed(e.Err)
		}
		if e.Status == 0 {
			broughtIn++
		}
		time.Sleep(10 * time.Millisecond)
	}
	unix.Kill(c.PID, unix.SIGKILL)
	said := c.Wait().Stdout
	return holds(broughtIn > 0 && !strings.Contains(said, "got in"), "some processes brought in, and no attack that got in",
		fmt.Sprintf("%d processes brought in, and the attacker says %q", broughtIn, said))
}
