package behave

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The rows about exec, which joins a container that runs: setns(2).

var execRows = []Row{{
	Name: "exec joins all namespaces of the container", Since: 1,
	Check:  joinsAll,
	Broken: onHost,
}, {
	Name: "exec's command is beside the container's process 1", Since: 1,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen {
			number, comm, _ := strings.Cut(e.Line(), " ")
			return ended(comm == "cat" && number != "1", "a number that is not 1, and process 1 is cat", e)
		}, "sh", "-c", "echo $$ $(cat /proc/1/comm)")
	},
	Broken: onHost,
}, {
	Name: "exec's command is user 0 inside", Since: 1, For: User,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen { return printed("0", e) }, "id", "-u")
	},
	Broken: onHost,
}, {
	Name: "the soft limit on open files is the caller's, for run and exec", Since: 1,
	Check:  openFiles,
	Broken: `ulimit -S -n "$(ulimit -H -n)"; exec "$BOX" "$@"`,
}, {
	Name: "exec's environment is the container's", Since: 1,
	Check:  func(b *Box) Seen { return b.inside(environment, "cat", "/proc/self/environ") },
	Broken: onHost,
}, {
	Name: "exec's exit status is the command's own", Since: 1,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen { return status(3, e) }, "sh", "-c", "exit 3")
	},
	Broken: zero,
}, {
	Name: "exec's command that a signal kills has the exit status 128 and the signal's number", Since: 1,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen { return status(128+int(unix.SIGKILL), e) }, "sh", "-c", "kill -KILL $$")
	},
	Broken: zero,
}, {
	Name: "exec of a command that does not exist has the exit status 127", Since: 1,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen { return status(127, e) }, "stagebox-no-such-command")
	},
	Broken: one,
}, {
	Name: "exec of a command that cannot be executed has the exit status 126", Since: 1,
	Check: func(b *Box) Seen {
		return b.inside(func(e Ended) Seen { return status(126, e) }, "/proc/self/maps")
	},
	Broken: one,
}, {
	Name: "exec passes standard input, standard output and standard error on", Since: 1,
	Check: execStreams,
	Broken: `[ "$1" = exec ] && exec "$BOX" "$@" 2>&1
exec "$BOX" "$@"`,
}, {
	Name: "exec's command has no descriptor but the three standard ones", Since: 1,
	Check: execDescriptors,
	Broken: `[ "$1" = exec ] && { pid=$2; shift 2; set -- exec $pid sh -c 'exec 9</dev/null; exec "$@"' sh "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "SIGTERM to exec ends its command: 143", Since: 1,
	Check:  execSignal,
	Broken: deaf,
}, {
	Name: "when exec is killed, its command does not outlive it", Since: 1,
	Check:  execKilled,
	Broken: detached,
}, {
	Name: "root's command in a user's container has none of root's groups, and does not outlive exec", Since: 1, For: Root,
	Check:  rootVisits,
	Broken: detached,
}, {
	Name: "exec into a process that has ended is refused", Since: 1,
	Check:  execEnded,
	Broken: one,
}, {
	Name: "exec into a process that is not a number is refused", Since: 1,
	Check:  func(b *Box) Seen { return refused(b.Run("exec", "nobody", "true")) },
	Broken: one,
}}

// inside starts a container, runs a command in it and has the end judged.
func (b *Box) inside(judge func(Ended) Seen, command ...string) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	return judge(b.Run(append([]string{"exec", c.pid()}, command...)...))
}

func joinsAll(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	const script = `for file in /proc/self/ns/*; do echo ${file##*/} $(readlink $file); done`
	return printed(b.namespaces(c.pid()), b.Run("exec", c.pid(), "sh", "-c", script))
}

func execStreams(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	expected := Ended{Stdout: "in\n", Stderr: "err\n"}
	return same(expected.String(), b.Feed("in\n", "exec", c.pid(), "sh", "-c", "cat; echo err >&2").String())
}

// join starts a container, and in it a command that goes on.
func (b *Box) join() (*Container, error) {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return nil, err
	}
	return b.Cat("exec", c.pid(), "cat")
}

func execDescriptors(b *Box) Seen {
	c, err := b.join()
	if err != nil {
		return failed(err)
	}
	return same("0 1 2", strings.Join(b.names(c.pid()+"/fd"), " "))
}

func execSignal(b *Box) Seen {
	c, err := b.join()
	if err == nil {
		err = c.Signal(unix.SIGTERM)
	}
	if err != nil {
		return failed(err)
	}
	return status(143, c.Wait())
}

func execKilled(b *Box) Seen {
	c, err := b.join()
	if err != nil {
		return failed(err)
	}
	return outlived(c)
}

// rootVisits has an ordinary user's container joined by root, who is also in the group 4.
func rootVisits(b *Box) Seen {
	user, err := ordinaryUser("/etc/subuid")
	if err != nil {
		return failed(err)
	}
	if why := user.obstacle(b.path); why != "" {
		return Seen{Cannot: why}
	}
	if err := os.Chmod(b.Dir, 0o711); err != nil { // where the user's box is to stand
		return failed(err)
	}
	ours, groups := b.credential, &syscall.Credential{Groups: []uint32{4}}
	b.credential = user.credential
	c, err := b.Cat("run", "/bin/cat")
	if b.credential = groups; err == nil {
		defer c.Stop()
		c, err = b.Cat("exec", c.pid(), "cat")
	}
	if b.credential = ours; err != nil {
		return failed(err)
	}
	return all(same("", b.status(c.pid(), "Groups")), outlived(c))
}

func execEnded(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	if ran := status(0, c.Stop()); !ran.Holds {
		return ran
	}
	return refused(b.Run("exec", c.pid(), "true"))
}

// openFiles is about a limit that Go raises for itself: setrlimit(2).
func openFiles(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	limited := func(args ...string) Seen {
		args = append(append([]string{"-c", `ulimit -S -n 512; exec "$0" "$@"`, b.path}, args...), "/bin/sh", "-c", "ulimit -S -n")
		return printed("512", b.prepare("/bin/sh", args...).toItsEnd())
	}
	return all(limited("run"), limited("exec", c.pid()))
}
