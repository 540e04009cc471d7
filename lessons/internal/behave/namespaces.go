package behave

import (
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// The rows about what a container sees of the system: namespaces(7).

var namespaceRows = slices.Concat(
	aboutKind("mnt", "mount"),
	aboutKind("pid", "PID"),
	aboutKind("uts", "UTS"),
	aboutKind("ipc", "IPC"),
	aboutKind("net", "network"),
	aboutKind("cgroup", "cgroup"),
	aboutKind("time", "time"),
	[]Row{{
		Name: "an ordinary user's container has a user namespace of its own", Since: 1, For: User,
		Check:  ownNamespace("user"),
		Broken: uncontained,
	}, {
		Name: "root's container has the host's user namespace", Since: 1, For: Root,
		Check:  hostNamespace("user"),
		Broken: addFlags("--unshare user"),
	}, {
		Name: "root's container has a user namespace of its own with --unshare user", Since: 1, For: Root,
		Check:  ownNamespace("user", "--unshare", "user"),
		Broken: drop("--unshare | user"),
	}, {
		Name: "--share uts gives the command the host's name in HOSTNAME too, and refuses --hostname", Since: 1,
		Check:  sharesName,
		Broken: drop("--hostname | other"),
	}, {
		Name: "a namespace that is both shared and unshared is refused", Since: 1,
		Check:  func(b *Box) Seen { return refused(b.Run("run", "--share", "ipc", "--unshare", "ipc", "/bin/true")) },
		Broken: drop("--share | --unshare | ipc"),
	}, {
		Name: "the command is process 1 inside, and has another number outside", Since: 1,
		Check:  processOne,
		Broken: share("pid"),
	}, {
		Name: "process 1 cannot be killed from inside", Since: 1,
		Check: func(b *Box) Seen {
			return printed("alive", b.Run("run", "/bin/sh", "-c", "kill -KILL $$; echo alive"))
		},
		Broken: share("pid"),
	}, {
		Name: "/proc shows the container's processes and no others", Since: 1,
		Check: func(b *Box) Seen {
			return printed("/proc/1", b.Run("run", "/bin/sh", "-c", "echo /proc/[0-9]*"))
		},
		Broken: share("mnt"),
	}, {
		Name: "a mount made inside is not seen outside", Since: 1,
		Check:  mountInside,
		Broken: share("mnt"),
	}, {
		Name: "a mount made inside is not seen outside, though the host's mounts are shared", Since: 1, For: Root,
		Check: mountInside,
		Broken: `[ "$1" = run ] && { shift; exec unshare -m --propagation shared "$BOX" run --share mnt "$@"; }
exec "$BOX" "$@"`,
	}, {
		Name: "the hostname inside is its own", Since: 1,
		Check: func(b *Box) Seen {
			return printed("box", b.Run("run", "/bin/cat", "/proc/sys/kernel/hostname"))
		},
		Broken: share("uts"),
	}, {
		Name: "the hostname inside is what --hostname or -h says", Since: 1,
		Check: func(b *Box) Seen {
			return all(printed("other", b.Run("run", "--hostname", "other", "/bin/cat", "/proc/sys/kernel/hostname")),
				printed("other", b.Run("run", "-h=other", "/bin/cat", "/proc/sys/kernel/hostname")))
		},
		Broken: drop("--hostname | other"),
	}, {
		Name: "the domain name inside is what --domainname says", Since: 1,
		Check: func(b *Box) Seen {
			names := []string{"/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname"}
			return all(printed("box\nexample.org", b.Run(append([]string{"run", "--domainname", "example.org", "/bin/cat"}, names...)...)),
				printed("box\n"+words(b.text("sys/kernel/domainname")), b.Run(append([]string{"run", "/bin/cat"}, names...)...)),
				refused(b.Run("run", "--share", "uts", "--domainname", "example.org", "/bin/true")))
		},
		Broken: drop("--domainname | example.org"),
	}, {
		Name: "a hostname changed inside is not changed outside", Since: 1,
		Check:  hostnameInside,
		Broken: share("uts"),
	}, {
		Name: "shared memory of the host is not seen inside", Since: 1, Needs: "sysvipc/shm",
		Check:  sharedMemory,
		Broken: share("ipc"),
	}, {
		Name: "sockets of the host are not seen inside", Since: 1, Needs: "net/unix",
		Check:  hostSocket,
		Broken: share("net"),
	}, {
		Name: "the network inside is loopback, which is up, and nothing else", Since: 1,
		Check:  loopback,
		Broken: before(`set -- unshare -n "$@"`), // a network in which it is down,
	}},
)

// aboutKind is the two rows that every kind of namespace has.
func aboutKind(kind, name string) []Row {
	return []Row{{
		Name: "the " + name + " namespace is its own", Since: 1, Needs: "self/ns/" + kind,
		Check:  ownNamespace(kind),
		Broken: share(kind),
	}, {
		Name: "the " + name + " namespace is the host's with --share " + kind, Since: 1, Needs: "self/ns/" + kind,
		Check:  hostNamespace(kind, "--share", kind),
		Broken: drop("--share | " + kind),
	}}
}

func ownNamespace(kind string, flags ...string) func(*Box) Seen {
	return func(b *Box) Seen {
		ours := b.namespace(host, kind)
		inside, outside, err := b.namespaceOf(kind, flags)
		if err != nil {
			return failed(err)
		}
		return holds(inside == outside && inside != ours,
			fmt.Sprintf("a namespace, the same from inside and outside, that is not the host's %s", ours),
			fmt.Sprintf("inside %s, outside %s", inside, outside))
	}
}

func hostNamespace(kind string, flags ...string) func(*Box) Seen {
	return func(b *Box) Seen {
		ours := b.namespace(host, kind)
		inside, outside, err := b.namespaceOf(kind, flags)
		if err != nil {
			return failed(err)
		}
		return same(fmt.Sprintf("inside %s, outside %s", ours, ours), fmt.Sprintf("inside %s, outside %s", inside, outside))
	}
}

// namespaceOf starts a container with some flags and looks at its namespace.
func (b *Box) namespaceOf(kind string, flags []string) (inside, outside string, err error) {
	c, err := b.Cat(slices.Concat([]string{"run"}, flags, []string{"/bin/sh", "-c", "readlink /proc/self/ns/" + kind + "; exec cat"})...)
	if err != nil {
		return "", "", err
	}
	return c.First, b.namespace(c.pid(), kind), nil
}

func sharesName(b *Box) Seen {
	name, err := os.Hostname()
	if err != nil {
		return failed(err)
	}
	return all(printed(name, b.Run("run", "--share", "uts", "/bin/sh", "-c", "echo $HOSTNAME")),
		refused(b.Run("run", "--share", "uts", "--hostname", "other", "/bin/true")))
}

func processOne(b *Box) Seen {
	c, err := b.Cat("run", "/bin/sh", "-c", "echo $$; exec cat")
	if err != nil {
		return failed(err)
	}
	return same(fmt.Sprintf("NSpid %d 1, $$ is 1", c.PID), fmt.Sprintf("NSpid %s, $$ is %s", b.status(c.pid(), "NSpid"), c.First))
}

func mountInside(b *Box) Seen {
	c, err := b.Cat("run", "/bin/sh", "-c", `mount -t tmpfs stagebox "$0" 2>&1; exec cat`, b.Dir)
	if err != nil {
		return failed(err)
	}
	return same("inside mounted, outside not mounted",
		fmt.Sprintf("inside %s, outside %s", b.mounted(c.pid(), b.Dir), b.mounted(host, b.Dir)))
}

func hostnameInside(b *Box) Seen {
	before := words(b.text("sys/kernel/hostname"))
	inside := b.Run("run", "/bin/sh", "-c", "hostname stagebox-other; cat /proc/sys/kernel/hostname")
	after := words(b.text("sys/kernel/hostname"))
	return all(printed("stagebox-other", inside), same("outside "+before, "outside "+after))
}

// sharedMemory makes a segment of System V shared memory on the host.
func sharedMemory(b *Box) Seen {
	id, err := unix.SysvShmGet(0, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		return failed(fmt.Errorf("shmget: %w", err))
	}
	defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	e := b.Run("run", "/bin/sh", "-c", "cat /proc/sysvipc/shm | wc -l")
	e.Stdout = words(e.Stdout)
	return printed("1", e) // the line of headings
}

// hostSocket listens on a name that is in no directory, but in the network namespace.
func hostSocket(b *Box) Seen {
	name := "@stagebox" + b.Dir
	l, err := net.Listen("unix", name)
	if err != nil {
		return failed(err)
	}
	defer l.Close()
	return printed("0", b.Run("run", "/bin/sh", "-c", `grep -cF "$0" /proc/net/unix; :`, name))
}

// loopback knows by the address whether lo was brought up: the kernel gives it at that moment.
func loopback(b *Box) Seen {
	const script = `grep : /proc/net/dev | cut -d: -f1; grep -o "127[.]0[.]0[.]1" /proc/net/fib_trie | sort -u`
	e := b.Run("run", "/bin/sh", "-c", script)
	e.Stdout = words(e.Stdout)
	return printed("lo 127.0.0.1", e)
}
