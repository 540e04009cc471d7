package behave

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The rows about a root of the container's own, its devices, its terminal and its user.

var rootRows = []Row{{
	Name: "--rootfs is the whole of what is seen", Since: 3,
	Check: func(b *Box) Seen {
		return printed("none of the host's", b.script(`[ -e "`+b.Dir+`" ] || echo "none of the host's"`))
	},
	Broken: hostFiles,
}, {
	Name: "the container's processes are all that its /proc shows", Since: 3,
	Check: func(b *Box) Seen {
		return printed("1", b.script(`cd /proc; echo [0-9]*`))
	},
	Broken: unwalled("--share pid"),
}, {
	Name: "/dev holds the usual devices and nothing else", Since: 3,
	Check: func(b *Box) Seen {
		core, mqueue := "", ""
		if _, err := os.Stat("/proc/kcore"); err == nil {
			core = "core "
		}
		if b.hasFilesystem("mqueue") {
			mqueue = "mqueue "
		}
		return printed(core+"fd full "+mqueue+"null ptmx pts random shm stderr stdin stdout tty urandom zero", b.script("cd /dev; echo *"))
	},
	Broken: unwalled("--privileged --device /dev/null:/dev/attack"),
}, {
	Name: "what is written to /dev/null and read from /dev/zero is as everywhere", Since: 3,
	Check: func(b *Box) Seen {
		return printed("4", b.script(`echo x >/dev/null && dd if=/dev/zero bs=4 count=1 2>/dev/null | wc -c`))
	},
	Broken: `[ "$1" = run ] && exit 1; exec "$BOX" "$@"`,
}, {
	Name: "hostname, hosts and resolv.conf are the container's, and the root is not written to", Since: 3,
	Check:  names,
	Broken: drop("--hostname | attic"),
}, {
	Name: "--domainname is in /etc/hosts, and not in /etc/hostname", Since: 3,
	Check: func(b *Box) Seen {
		return printed("attic attic.example.org attic", b.script(`cat /etc/hostname; while read -r ip full short more; do case $ip in 127.0.1.1|10.*|172.*|192.168.*) echo $full $short; esac; done </etc/hosts`,
			"--hostname", "attic", "--domainname", "example.org").oneLine())
	},
	Broken: drop("--domainname | example.org"),
}, {
	Name: "-t is a terminal of the container's own: /dev/pts/0", Since: 3,
	Check:  func(b *Box) Seen { return b.atTerminal("/dev/pts/0", "tty") },
	Broken: drop("-t | -it | -i"),
}, {
	Name: "-t has the size of the caller's terminal, and follows it", Since: 3,
	Check:  resized,
	Broken: drop("-t | -it | -i"),
}, {
	Name: "Ctrl-C at -it is typed into the container's terminal: 130", Since: 3,
	Check:  func(b *Box) Seen { return b.ctrlC() },
	Broken: statusLost,
}, {
	Name: "after -it the caller's terminal is as it was", Since: 3,
	Check:  restored,
	Broken: `"$BOX" "$@"; status=$?; [ "$1" = run ] && stty raw; exit $status`,
}, {
	Name: "-v shows a directory of the host's, to read and write", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("echo inside >/data/file", "-v", b.Dir+":/data")
		return all(status(0, e), same("inside", contentOf(filepath.Join(b.Dir, "file"))))
	},
	Broken: drop("-v | */stagebox-check*:/data"),
}, {
	Name: "-v with ro is for reading only", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("touch /data/file 2>/dev/null || echo refused", "--volume", b.Dir+":/data:ro")
		return printed("refused", e)
	},
	Broken: `for word; do shift; case $word in *:ro) word=${word%:ro} ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--mount leaves out the mounts below a directory, or lets them be written to, as Docker does", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		below := func(words string) Ended {
			return b.script("while read -r id parent device root at options rest; do case $at in \"$last\") ;; /data|/data/pts) last=$at; echo $at ${options%%,*};; esac; done </proc/self/mountinfo",
				"--mount", "type=bind,src=/dev,dst=/data"+words)
		}
		return all(printed("/data rw\n/data/pts rw", below("")), printed("/data rw", below(",bind-nonrecursive=true")), printed("/data rw", below(",bind-recursive=disabled")),
			printed("/data ro\n/data/pts ro", below(",readonly")), printed("/data ro\n/data/pts rw", below(",readonly,bind-recursive=writable")),
			refused(below(",bind-recursive=writable")))
	},
	Broken: `for a; do shift; set -- "$@" "${a%,bind-*}"; done; exec "$BOX" "$@"`,
}, {
	Name: "-v that is given twice in the same words is one mount", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("test -d /data && echo there", "-v", b.Dir+":/data", "-v", b.Dir+":/data")
		return all(printed("there", e), refused(b.script("true", "-v", b.Dir+":/data", "-v", b.Dir+":/data:ro")))
	},
	Broken: `for a; do shift; case $a in *:/data) a=$a:rw$((i+=1));; esac; set -- "$@" "$a"; done; exec "$BOX" "$@"`,
}, {
	Name: "-v of a socket: a service of the host is reached inside", Since: 3,
	Check: func(b *Box) Seen {
		path := filepath.Join(b.Dir, "service")
		service, err := net.Listen("unix", path)
		if err != nil {
			return failed(err)
		}
		defer service.Close()
		return printed("a socket", b.script("test -S /run/service && echo a socket", "-v", path+":/run/service"))
	},
	Broken: drop("-v | *:/run/service"),
}, {
	Name: "--mount does what -v does", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("touch /data/file 2>/dev/null || echo refused", "--mount", "type=bind,src="+b.Dir+",dst=/data,readonly")
		return printed("refused", e)
	},
	Broken: `for word; do shift; case $word in *,readonly) word=${word%,readonly} ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--tmpfs is memory of the size that is given", Since: 3,
	Check: func(b *Box) Seen {
		return printed("tmpfs 1024", b.script(`stat -f -c %T /scratch; df -k /scratch | awk 'NR==2 {print $2}'`, "--tmpfs", "/scratch:size=1m").oneLine())
	},
	Broken: drop("--tmpfs | /scratch:size=1m"),
}, {
	Name: "--shm-size is the size of /dev/shm, and 64 MiB without it", Since: 3,
	Check: func(b *Box) Seen {
		size := `df -k /dev/shm | awk 'NR==2 {print $2}'`
		return all(printed("65536", b.script(size)), printed("1024", b.script(size, "--shm-size", "1m")), refused(b.script("true", "--shm-size", "-1")))
	},
	Broken: drop("--shm-size | 1m"),
}, {
	Name: "/dev/shm is the container's own, and the host's with --share ipc", Since: 3,
	Check: func(b *Box) Seen {
		var shm unix.Stat_t
		if err := unix.Stat("/dev/shm", &shm); err != nil {
			return Seen{Cannot: "a /dev/shm"}
		}
		number := strconv.FormatUint(shm.Dev, 10)
		own, shared := b.script("stat -c %d /dev/shm"), b.script("stat -c %d /dev/shm", "--share", "ipc")
		return all(ended(own.Status == 0 && own.Line() != number, "another file system than "+number, own), printed(number, shared),
			refused(b.script("true", "--share", "ipc", "--shm-size", "1m")))
	},
	Broken: drop("--share | ipc"),
}, {
	Name: "--read-only: the root cannot be written to, and volumes can", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("touch /file 2>/dev/null && echo written; touch /data/file /dev/shm/file && echo volume", "--read-only", "-v", b.Dir+":/data")
		return printed("volume", e)
	},
	Broken: drop("--read-only"),
}, {
	Name: "--read-only: /etc/hosts, /etc/hostname and /etc/resolv.conf cannot be written to either", Since: 3,
	Check: func(b *Box) Seen {
		return printed("tried", b.script("for f in hosts hostname resolv.conf; do echo x 2>/dev/null >>/etc/$f && echo $f; done 2>/dev/null; echo tried", "--read-only"))
	},
	Broken: drop("--read-only"),
}, {
	Name: "-v of another /etc leaves the three files above it, and -v of one of them takes its place", Since: 3,
	Check: func(b *Box) Seen {
		etc := filepath.Join(b.Dir, "other-etc")
		if err := errors.Join(os.Mkdir(etc, 0o755), os.Chmod(etc, 0o777), os.WriteFile(filepath.Join(etc, "own"), []byte("own\n"), 0o644), os.Symlink("../run/none/resolv.conf", filepath.Join(etc, "resolv.conf"))); err != nil {
			return failed(err)
		}
		script := "cat /etc/own /etc/hostname; grep -c 127.0.0.1 /etc/hosts; cat /etc/resolv.conf >/tmp/asks && echo asks"
		return all(printed("own\nlone\n1\nasks", b.script(script, "--hostname", "lone", "-v", etc+":/etc")),
			printed("own", b.script("cat /etc/hosts", "-v", etc+":/etc", "-v", filepath.Join(etc, "own")+":/etc/hosts")))
	},
	Broken: drop("-v | */other-etc:/etc"),
}, {
	Name: "a host name in full has its first part in /etc/hosts too", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("hostname; cat /etc/hosts", "--hostname", "web.example.org")
		return all(status(0, e), holds(strings.HasPrefix(e.Stdout, "web.example.org\n") && strings.Contains(e.Stdout, "\tweb.example.org web"), "web.example.org web", e.Stdout))
	},
	Broken: `for word; do shift; set -- "$@" "${word%.example.org}"; done; exec "$BOX" "$@"`,
}, {
	Name: "-w is where the command starts, and is made when it is missing", Since: 3,
	Check: func(b *Box) Seen {
		return all(printed("/tmp", b.script("pwd", "-w", "/tmp")), printed("/tmp/a/b", b.script("pwd", "--workdir", "/tmp/a/b")))
	},
	Broken: drop("-w | --workdir | /tmp | /tmp/a/b"),
}, {
	Name: "with --rootfs, a word without a slash is searched for in the container's PATH", Since: 3,
	Check: func(b *Box) Seen {
		return all(printed("found", b.inRoot(nil, "echo", "found")), status(127, b.inRoot(nil, "stagebox-no-such-command")), status(127, b.inRoot(nil, "")))
	},
	Broken: one,
}, {
	Name: "-e and --env-file are in the environment", Since: 3,
	Check: func(b *Box) Seen {
		file := filepath.Join(b.Dir, "env")
		if err := os.WriteFile(file, []byte("# comment\nFROM_FILE=1 2\nBOTH=file\n"), 0o644); err != nil {
			return failed(err)
		}
		e := b.script(`echo "$A $FROM_FILE $BOTH $STAGEBOX_SECRET"`, "-e", "A=b", "-e", "BOTH=flag", "-e", "STAGEBOX_SECRET", "--env-file", file)
		return printed("b 1 2 flag 1", e)
	},
	Broken: drop("-e | BOTH=flag"),
}, {
	Name: "-u and --group-add are looked up in the container's own passwd and group, and a number is always an id", Since: 3, For: Root,
	Check:  users,
	Broken: drop("-u | somebody | somebody:others"),
}, {
	Name: "another user than root may open /dev/stdout and /dev/stderr when they are pipes", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		e := b.script("echo out >/dev/stdout; echo err >/dev/stderr; echo again >/proc/self/fd/1", "-u", "1000:1000")
		return all(printed("out again", e.oneLine().asSuccess()), same("err\n", e.Stderr))
	},
	Broken: `[ "$1" = run ] || exec "$BOX" "$@"; shift
"$BOX" run --help | grep -q -e --rm && set -- --rm "$@" # what is kept has a pipe of box's in any case
"$BOX" run "$@" >"$HOME/out"; status=$?; cat "$HOME/out"; exit $status`,
}, {
	Name: "a user that is not mapped is explained, also to a pipe", Since: 3, For: User,
	Check: func(b *Box) Seen {
		e := b.script("true", "-u", "2000000000")
		return all(refused(e), ended(strings.Contains(e.Stderr, "/etc/subuid"), "a hint at /etc/subuid", e))
	},
	Broken: drop("-u | 2000000000"),
}, {
	Name: "a command with -u does not outlive the binary", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		c, err := b.Cat("run", "--rootfs", root, "--share", "pid", "-u", "1000:1000", "cat")
		if err != nil {
			return failed(err)
		}
		return outlived(c)
	},
	Broken: detached,
}, {
	Name: "root has the capabilities that Docker gives, and another user none", Since: 3,
	Check: func(b *Box) Seen {
		caps := `echo $(grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status)`
		set := "00000000a80425fb"
		return printed("CapInh: 0000000000000000 CapPrm: "+set+" CapEff: "+set+" CapBnd: "+set+" CapAmb: 0000000000000000", b.script(caps))
	},
	Broken: unwalled("--cap-add SYS_ADMIN"),
}, {
	Name: "--cap-add and --cap-drop", Since: 3,
	Check: func(b *Box) Seen {
		eff := func(flags ...string) Ended { return b.script(`grep CapEff /proc/self/status`, flags...) }
		return all(printed("CapEff:\t0000000000000000", eff("--cap-drop", "ALL")),
			printed("CapEff:\t0000000000000001", eff("--cap-drop", "all", "--cap-add", "CAP_CHOWN")),
			printed("CapEff:\t00000000a80435fb", eff("--cap-add", "net_admin")))
	},
	Broken: drop("--cap-add | CAP_CHOWN | net_admin"),
}, {
	Name: "a filter of system calls is in force", Since: 3,
	Check: func(b *Box) Seen {
		return printed("Seccomp:\t2", b.script("grep ^Seccomp: /proc/self/status"))
	},
	Broken: unwalled("--security-opt seccomp=unconfined"),
}, {
	Name: "a seccomp profile of one's own decides over each system call and its arguments", Since: 3,
	Check: ownProfile,
	Broken: `for word; do shift; case $word in seccomp=*) word=seccomp=unconfined ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--ulimit is a limit of the command's", Since: 3,
	Check: func(b *Box) Seen {
		return printed("100 200", b.script("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=100:200").oneLine())
	},
	Broken: drop("--ulimit | nofile=100:200"),
}, {
	Name: "--device is a device of the host's, to do only what is allowed with", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		e := b.script(`dd if=/dev/mine bs=1 count=0 2>/dev/null && echo read; : >/dev/mine && echo written; :`, "--device", "/dev/loop-control:/dev/mine:w")
		if _, err := os.Stat("/dev/loop-control"); err != nil {
			return Seen{Cannot: "this host has no /dev/loop-control"}
		}
		return printed("written", Ended{Stdout: e.Stdout, Status: e.Status, Err: e.Err})
	},
	Broken: `for word; do shift; case $word in *:w) word=${word%:w} ;; esac; set -- "$@" "$word"; done
exec "$BOX" "$@"`,
}, {
	Name: "--device-cgroup-rule lets a device be opened whose node is made inside", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		e := b.script(`mknod /tmp/fuse c 10 229; (: </tmp/fuse) && echo read; (: >/tmp/fuse) && echo written; :`, "--device-cgroup-rule", "c *:229 r")
		if _, err := os.Stat("/dev/fuse"); err != nil {
			return Seen{Cannot: "this host has no /dev/fuse"}
		}
		return printed("read", Ended{Stdout: e.Stdout, Status: e.Status, Err: e.Err})
	},
	Broken: drop("--device-cgroup-rule | c?*"),
}, {
	Name: "--sysctl is a setting of the container's namespaces", Since: 3, For: Root,
	Check: func(b *Box) Seen {
		return printed("77", b.script("cat /proc/sys/net/ipv4/ip_default_ttl", "--sysctl", "net.ipv4.ip_default_ttl=77"))
	},
	Broken: drop("--sysctl | net.ipv4.ip_default_ttl=77"),
}, {
	Name: "a network of the container's own lets every user ping and use low ports", Since: 3,
	Check:  lowPorts,
	Broken: unwalled("--sysctl net.ipv4.ip_unprivileged_port_start=1024"),
}, {
	Name: "--init waits for orphans and passes signals on", Since: 3,
	Check:  withInit,
	Broken: drop("--init"),
}, {
	Name: "--init's process shows nothing of the host in its arguments and environment", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script(`tr "\0" " " </proc/1/cmdline; cat /proc/1/environ 2>/dev/null`, "--init")
		secret := strings.Contains(e.Stdout, b.Dir) || strings.Contains(e.Stdout, "STAGEBOX_SECRET") || strings.Contains(e.Stdout, "rootfs")
		return ended(!secret && strings.HasPrefix(e.Stdout, "/sbin/box-init -- sh -c "), "/sbin/box-init -- sh -c", e)
	},
	Broken: drop("--init"),
}, {
	Name: "exec's command has the container's root and its walls", Since: 3,
	Check: execWalls,
	Broken: `[ "$1" = exec ] && { shift 2; exec "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "a root that cannot be one is refused", Since: 3,
	Check:  badRoots,
	Broken: one,
}, {
	Name: "the host's own root is not made a container's", Since: 3, Until: 3, // from then on an overlay lies over it
	Check:  func(b *Box) Seen { return refused(b.Run("run", "--rootfs", "/", "true")) },
	Broken: one,
}, {
	Name: "a root that holds the store is refused", Since: 4,
	Check: func(b *Box) Seen {
		return refused(b.Run("run", "--root", filepath.Join(b.Dir, "store"), "--rootfs", b.Dir, "/bin/true"))
	},
	Broken: one,
}, {
	Name: "what cannot be mounted, or be had, is refused", Since: 3,
	Check:  badFiles,
	Broken: one,
}, {
	Name: "a program for another processor is said to be one", Since: 3,
	Check:  otherProcessor,
	Broken: one,
}, {
	Name: "-v takes relative paths and Docker's options, and makes a missing directory of the host's", Since: 3,
	Check: func(b *Box) Seen {
		e := b.script("echo x >/new/file; ls /here/none/such/file; touch /ro 2>/dev/null || echo refused", "-v", "./none/such:/new:z,cached", "-v", ".:/here:Z,rprivate,delegated", "-v", ".:/ro:ro,consistent")
		return all(printed("/here/none/such/file refused", e.oneLine()), same("x", contentOf(filepath.Join(b.Dir, "none/such/file"))))
	},
	Broken: `[ "$1" = run ] && cd /; exec "$BOX" "$@"`,
}, {
	Name: "--tmpfs takes mount's options, and has the mode of the directory that it covers", Since: 3,
	Check:  tmpfsModes,
	Broken: `for word; do shift; set -- "$@" "${word%,size=40%,mode=700}"; done; exec "$BOX" "$@"`,
}}

// hostFiles leaves the root out.
const hostFiles = `[ "$1" = run ] && [ "$2" = --rootfs ] && { shift 3; set -- run "$@"; }
exec "$BOX" "$@"`

func (k kernel) hasFilesystem(name string) bool {
	data, err := os.ReadFile("/proc/filesystems")
	return err == nil && strings.Contains(string(data), "\t"+name+"\n")
}

// oneLine has the lines of standard output in one.
func (e Ended) oneLine() Ended {
	e.Stdout = words(e.Stdout) + "\n"
	return e
}

func names(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	e := b.script("cat /etc/hostname; grep -c -e attic -e ip6-localnet /etc/hosts; echo x >>/etc/hosts && echo written", "--hostname", "attic")
	return all(printed("attic 2 written", e.oneLine()), same("", contentOf(filepath.Join(root, "etc/hosts"))), same("", contentOf(filepath.Join(root, "etc/hostname"))))
}

// terminalRun starts a run with a terminal of its own, at a terminal.
func (b *Box) terminalRun(typed string, command ...string) (*Container, error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	return b.StartAtTerminal(typed, append([]string{"run", "--rootfs", root, "-i", "-t"}, command...)...)
}

func (b *Box) atTerminal(expected string, command ...string) Seen {
	c, err := b.terminalRun("", command...)
	if err != nil {
		return failed(err)
	}
	return same(expected, c.First)
}

func resized(b *Box) Seen {
	c, err := b.terminalRun("", "sh", "-c", `tty; while :; do size=$(stty size); [ "$size" = "$old" ] || echo "$size"; old=$size; sleep 0.05; done`)
	if err != nil {
		return failed(err)
	}
	before, err := c.line()
	if err != nil {
		return failed(err)
	}
	if err := unix.IoctlSetWinsize(int(c.in.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99}); err != nil {
		return failed(err)
	}
	if err := c.Signal(unix.SIGWINCH); err != nil {
		return failed(err)
	}
	line, err := c.line()
	if err != nil {
		line = err.Error()
	}
	return same("/dev/pts/0: 24 80, then 33 99", c.First+": "+before+", then "+line)
}

func (b *Box) ctrlC() Seen {
	c, err := b.terminalRun("", "sh", "-c", `trap "exit 130" INT; echo ready; while :; do sleep 0.05; done`)
	if err != nil {
		return failed(err)
	}
	if _, err := c.in.WriteString("\x03"); err != nil {
		return failed(err)
	}
	return status(130, c.Wait())
}

// restored compares the settings of the caller's terminal before and after.
func restored(b *Box) Seen {
	ours, theirs, err := openTerminal()
	if err != nil {
		return failed(err)
	}
	defer ours.Close()
	defer theirs.Close()
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	before, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil {
		return failed(err)
	}
	r := b.prepare(b.path, "run", "--rootfs", root, "-i", "-t", "sh", "-c", "exit 3")
	r.Stdin, r.Stdout, r.Stderr = theirs, theirs, theirs
	r.SysProcAttr.Setctty = true
	if err := r.start(); err != nil {
		return failed(err)
	}
	e := r.ended(r.Wait(), "", "")
	after, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil {
		return failed(err)
	}
	return all(status(3, e), same(fmt.Sprint(*before), fmt.Sprint(*after)))
}

// users has a passwd and a group in a root of its own.
func users(b *Box) Seen {
	root, err := b.ownRoot()
	if err != nil {
		return failed(err)
	}
	files := map[string]string{"passwd": "root:x:0:0::/root:/bin/sh\nsomebody:x:1234:1235::/home/somebody:/bin/sh\n  short:x:7:8\n4321:x:0:0::/:\n4294967296:x:0:0::/:\n",
		"group": "crowd:x:77:somebody\nothers:x:78:\n79:x:0:\n"}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(content), 0o644); err != nil {
			return failed(err)
		}
	}
	who := `echo $(id -u) $(id -g) $(grep Groups /proc/self/status) $HOME; grep CapEff /proc/self/status`
	as := func(user string, flags ...string) Ended {
		return b.Run(append(append([]string{"run", "--rootfs", root, "-u", user}, flags...), "sh", "-c", who)...)
	}
	none := " CapEff: 0000000000000000"
	return all(printed("1234 1235 Groups: 77 1235 /home/somebody"+none, as("somebody").oneLine()),
		printed("1234 78 Groups: 78 /home/somebody"+none, as("somebody:others").oneLine()),
		printed("4321 0 Groups: 0 /"+none, as("4321").oneLine()),
		printed("7 79 Groups: 79 /"+none, as("short:79", "-e", "HOME=").oneLine()),
		printed("1234 1235 Groups: 7 77 78 1235 /home/somebody"+none, as("somebody", "-e", "HOME=", "--group-add", "others", "--group-add", "7").oneLine()),
		refused(as("stagebox-nobody")), refused(as("4294967296")), refused(as("0:4294967296")), refused(as("0", "--group-add", "stagebox-nobody")))
}

// ownProfile forbids mkdir, and a socket of one family.
func ownProfile(b *Box) Seen {
	file := filepath.Join(b.Dir, "profile.json")
	profile := `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122},
		{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122, "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}`
	if err := os.WriteFile(file, []byte(profile), 0o644); err != nil {
		return failed(err)
	}
	e := b.script(`trap : USR1 USR2; mkdir /tmp/x 2>/dev/null || echo no mkdir; kill -10 $$ 2>/dev/null || echo no kill; kill -12 $$ && echo kill`,
		"--security-opt", "seccomp="+file)
	return printed("no mkdir no kill kill", e.oneLine())
}

// withInit leaves an orphan behind, whose end only PID 1 can wait for.
func withInit(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	orphan := `(sleep 0.1 & ); sleep 0.3; cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z"; [ $$ = 2 ] && exit 4`
	e := b.script(orphan, "--init")
	signalled := b.signalled(unix.SIGTERM, func(b *Box) (*Container, error) {
		return b.Start("run", "--init", "--rootfs", root, "sh", "-c", `trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done`)
	}, func(c *Container) error { return c.Signal(unix.SIGTERM) })
	return all(ended(e.Status == 4 && e.Line() == "0", "exit 4, printed 0", e), status(9, signalled))
}

// execWalls compares what the kernel says of exec's command with what it says of PID 1.
func execWalls(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	c, err := b.Cat("run", "--rootfs", root, "sh", "-c", "cat")
	if err != nil {
		return failed(err)
	}
	e := b.Run("exec", c.pid(), "sh", "-c", `bounds() { grep -E "^(Cap|Seccomp:|NoNew)" /proc/$1/status; }; [ "$(bounds 1)" = "$(bounds self)" ] && ls -d /stagebox-attack`)
	return printed("/stagebox-attack", e)
}

func badRoots(b *Box) Seen {
	file, empty := filepath.Join(b.Dir, "file"), filepath.Join(b.Dir, "empty")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return failed(err)
	}
	if err := os.Mkdir(empty, 0o755); err != nil {
		return failed(err)
	}
	var parts []Seen
	for _, dir := range []string{filepath.Join(b.Dir, "none"), file, empty, ""} {
		parts = append(parts, refused(b.Run("run", "--rootfs", dir, "true")))
	}
	return all(append(parts, status(127, b.inRoot(nil, "/bin/stagebox-no-such")))...)
}

func badFiles(b *Box) Seen {
	socket := filepath.Join(b.Dir, "fifo")
	if err := unix.Mkfifo(socket, 0o600); err != nil {
		return failed(err)
	}
	var parts []Seen
	for _, flags := range []string{
		"-v none/x:/data", "--mount type=bind,src=/stagebox-none,dst=/data", "-v " + b.Dir + ":data", "-v " + b.Dir + ":/proc", "-v " + b.Dir + ":/", "-v x:",
		"-v " + b.Dir + ":/data:rx", "-v " + b.Dir + ":/data -v " + b.Dir + ":/data:ro", "--tmpfs data", "--tmpfs /t:size=x", "--mount type=x,dst=/d",
		"--user stagebox-nobody", "--cap-add NONSENSE", "--ulimit nonsense=1", "--ulimit nofile=5:1", "--sysctl kernel.core_pattern=x",
		"--sysctl net.ipv4.ip_forward", "--security-opt nonsense", "--security-opt seccomp=/etc/passwd", "--security-opt seccomp=/stagebox-none",
		"--device /etc/passwd", "--device /dev/stagebox-none", "--env =x", "--env-file /stagebox-none", "--workdir tmp",
	} {
		parts = append(parts, refused(b.inRoot(strings.Fields(flags), "true")))
	}
	return all(append(parts, refused(b.Run("run", "--read-only", "/bin/true")), refused(b.Run("run", "--rootfs", b.Dir, "--share", "mnt", "true")))...)
}

// lowPorts expects all groups that are mapped, up to the largest that the kernel takes here.
func lowPorts(b *Box) Seen {
	e := b.script("cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start; cat ping_group_range; cat /proc/self/gid_map")
	words, groups := strings.Fields(e.Stdout), 0
	if len(words) < 6 {
		return ended(false, "a port, two groups and a map", e)
	}
	for i := 5; i < len(words); i += 3 {
		n, err := strconv.Atoi(words[i])
		if err != nil {
			return failed(err)
		}
		groups += n
	}
	return same(fmt.Sprint("0 0 ", min(groups-1, 1<<31-1)), strings.Join(words[:3], " "))
}

// tmpfsModes has a directory for the owner alone in a root of its own. A size of 50 percent, the
// default, is not listed by every kernel.
func tmpfsModes(b *Box) Seen {
	root, err := b.ownRoot()
	private := filepath.Join(root, "var/private")
	if err == nil {
		err = errors.Join(os.MkdirAll(private, 0o755), os.Chmod(private, 0o750), os.Chown(private, b.uid, b.gid))
	}
	if err != nil {
		return failed(err)
	}
	e := b.Run("run", "--rootfs", root, "--tmpfs", "/var/private", "--tmpfs", "/fresh", "--tmpfs", "/part:uid=0,gid=0,size=40%,mode=700", "sh", "-c",
		`stat -c "%a %u" /var/private /fresh /part; awk '$2 == "/part" {print $4}' /proc/mounts`)
	as := strings.HasPrefix(e.Stdout, "750 0\n1777 0\n700 0\n") && strings.Contains(e.Stdout, ",size=")
	return ended(e.Status == 0 && as, "750, 1777 and 700, and a size", e)
}

// otherProcessor has a program whose ELF header names a processor that does not exist.
func otherProcessor(b *Box) Seen {
	root, err := b.root()
	if err != nil {
		return failed(err)
	}
	program, err := os.ReadFile(filepath.Join(root, "bin/cat"))
	if err != nil {
		return failed(err)
	}
	program = slices.Clone(program)
	program[18], program[19] = 0x2b, 0 // e_machine: SPARC
	if err := writeProgram(filepath.Join(b.Dir, "sparc"), program); err != nil {
		return failed(err)
	}
	e := b.inRoot([]string{"-v", b.Dir + ":/data"}, "/data/sparc")
	return all(status(126, e), holds(strings.Contains(e.Stderr, "processor"), "a sentence about the processor", e.Stderr))
}
