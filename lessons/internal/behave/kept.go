package behave

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The rows about lists of what a store keeps, and about what can be done to it.

var keptRows = []Row{{
	Name: "create refuses what would keep the container from ever starting", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		var seen []Seen
		for _, flag := range []string{"--cap-add=NONE_SUCH", "--security-opt=none-such", "--ulimit=nofile=2:1", "--sysctl=kernel.hostname=x",
			"--oom-score-adj=1001", "--shm-size=-1", "--memory=1m", "--cpuset-cpus=1,2,,", "--workdir=etc"} {
			seen = append(seen, refused(b.Run("create", flag, "--rootfs", root, "true")))
		}
		return all(append(seen, printed("", b.Run("ps", "-aq")))...)
	},
	Broken: `for word; do shift; case $word in --ulimit=* | --workdir=*) ;; *) set -- "$@" "$word" ;; esac; done; exec "$BOX" "$@"`,
}, {
	Name: "-d --share pid: a container that runs among the host's processes goes on without its caller", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		return b.withStill([]string{"-d", "--name", "still", "--share", "pid"}, "sleep 1000", func() Seen {
			state := b.Run("inspect", "-f", "{{.State.Pid}}", "still")
			theirs, err := os.Readlink("/proc/" + strings.TrimSpace(state.Stdout) + "/ns/pid")
			ours, errOurs := os.Readlink("/proc/self/ns/pid")
			if err := errors.Join(err, errOurs); err != nil {
				return failed(err)
			}
			return all(same(ours, theirs), status(0, b.Run("kill", "still")), printed("137", b.Run("wait", "still")))
		})
	},
	Broken: `case " $* " in *' --share pid '*) exit 125 ;; esac; exec "$BOX" "$@"`,
}, {
	Name: "--pid container:NAME: its processes are seen, and their end ends the others", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		return b.withStill([]string{"-d", "--name", "still"}, "sleep 1000", func() Seen {
			theirs, own := b.Run("exec", "still", "readlink", "/proc/self/ns/pid"), b.script("readlink /proc/self/ns/pid")
			shared := b.script("readlink /proc/self/ns/pid", "--pid", "container:still")
			other := b.script("sleep 1000", "-d", "--name", "other", "--pid", "container:still")
			defer b.Run("rm", "-f", "other")
			return all(ended(own.Status == 0 && own.Line() != theirs.Line(), "another namespace", own), printed(theirs.Line(), shared),
				status(0, other), status(0, b.Run("kill", "still")), printed("137", b.Run("wait", "other")),
				refused(b.script("true", "--pid", "container:still")), refused(b.script("true", "--pid", "container:nonsense")), refused(b.Run("run", "--pid", "nonsense", "/bin/true")))
		})
	},
	Broken: `case " $* " in *' --pid container:'*) exit 125 ;; esac; exec "$BOX" "$@"`,
}, {
	Name: "--ipc container:NAME: a shareable one's IPC and /dev/shm; a private one's are refused", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		look := "readlink /proc/self/ns/ipc; cat /dev/shm/note"
		return b.withStill([]string{"-d", "--name", "still", "--ipc", "shareable"}, "echo hello >/dev/shm/note; sleep 1000", func() Seen {
			for b.Run("exec", "still", "test", "-s", "/dev/shm/note").Status != 0 {
				if b.ctx.Err() != nil {
					return failed(b.ctx.Err())
				}
			}
			theirs := b.Run("exec", "still", "readlink", "/proc/self/ns/ipc")
			private := b.script("sleep 1000", "-d", "--name", "private")
			defer b.Run("rm", "-f", "private")
			return all(printed(theirs.Line()+"\nhello", b.script(look, "--ipc", "container:still")), status(0, private), refused(b.script("true", "--ipc", "container:private")),
				status(1, b.script("readlink /proc/self/ns/ipc; test -e /dev/shm", "--ipc", "none")))
		})
	},
	Broken: drop("--ipc | container:* | none"),
}, {
	Name: "--pid host, --ipc host and --uts host mean what --share does", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		var parts []Seen
		for _, kind := range []string{"pid", "ipc", "uts"} {
			parts = append(parts, hostNamespace(kind, "--"+kind, "host")(b))
		}
		return all(append(parts, refused(b.Run("run", "--uts", "host", "--hostname", "other", "/bin/true")), refused(b.Run("run", "--pid", "host", "--unshare", "pid", "/bin/true")))...)
	},
	Broken: drop("--pid | --ipc | --uts | host"),
}, {
	Name: "ps chooses by --filter, -n, -l and -q, and prints by --format", Since: 4,
	Check: func(b *Box) Seen {
		one := b.script("exit 3", "--name", "one", "-l", "team=red", "--label", "note")
		two := b.script("true", "--name", "two")
		names := func(args ...string) Ended {
			return b.Run(append([]string{"ps", "--format", "{{.Names}}"}, args...)...)
		}
		return all(status(3, one), status(0, two), printed("", names()),
			printed("two one", names("-a").oneLine()), printed("two", names("-n", "1")), printed("two", names("-l")),
			printed("one", names("-a", "-f", "exited=3")), printed("one", names("-f", "status=exited", "-f", "label=team=red")),
			printed("", names("-a", "-f", "label=team=blue")), printed("one", names("-a", "--filter", "name=^o")),
			printed("one", names("-a", "-f", "before=two")), printed("two", names("-a", "-f", "since=one")),
			printed("NAMES team one red", b.Run("ps", "-af", "label=note", "--format", `table {{.Names}}\t{{.Label "team"}}`).oneLine()),
			refused(b.Run("ps", "-f", "nonsense=1")), refused(b.Run("ps", "-a", "--format", "{{.Nonsense}}")))
	},
	Broken: `[ "$1" = ps ] && { "$BOX" "$@" | tail -1; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "rename: a running container has its new name at once, and after its end", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("trap 'exit 9' TERM; while :; do sleep 0.01; done", func() Seen {
			rename, state := b.Run("rename", "still", "moved"), "{{.Name}} {{.State.Status}}"
			before, gone := b.Run("inspect", "-f", state, "moved"), b.Run("inspect", "still")
			stop := b.Run("stop", "moved")
			after, back := b.Run("inspect", "-f", state, "moved"), b.Run("rename", "moved", "still")
			return all(status(0, rename), printed("/moved running", before), status(1, gone), status(0, stop), printed("/moved exited", after),
				status(0, back), printed("/still exited", b.Run("inspect", "-f", state, "still")), refused(b.Run("rename", "still", "still")))
		})
	},
	Broken: `[ "$1" = rename ] && exit; [ "$2" = moved ] && set -- "$1" still; exec "$BOX" "$@"`,
}, {
	Name: "logs: the last lines, those of a time, and with their times", Since: 4,
	Check: func(b *Box) Seen {
		e := b.script("echo one; sleep 0.4; echo two", "-d", "--name", "said")
		wait, all3 := b.Run("wait", "said"), b.Run("logs", "-t", "said")
		times := strings.Fields(all3.Stdout)
		if len(times) != 4 {
			return ended(false, "two lines, each with a time", all3)
		}
		begin, err := time.Parse("2006-01-02T15:04:05.000000000Z", times[0])
		if err != nil {
			return failed(err)
		}
		middle := begin.Add(200 * time.Millisecond)
		return all(status(0, e), status(0, wait), printed("one two", b.Run("logs", "-n", "2", "said").oneLine()), printed("two", b.Run("logs", "--tail", "1", "said")),
			printed("", b.Run("logs", "--tail=0", "said")), printed("two", b.Run("logs", "-f", "--since", middle.Format(time.RFC3339Nano), "said")),
			printed("one", b.Run("logs", "--until", fmt.Sprintf("%d.%09d", middle.Unix(), middle.Nanosecond()), "said")),
			printed("one two", b.Run("logs", "--since", "1h", "said").oneLine()), refused(b.Run("logs", "--since", "soon", "said")))
	},
	Broken: `[ "$1" = logs ] && { for last; do :; done; exec "$BOX" logs "$last"; }; exec "$BOX" "$@"`,
}, {
	Name: "top lists the processes of a container by their numbers outside", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100 & sleep 100 & echo begun; wait", func() Seen {
			for begin := time.Now(); b.Run("logs", "still").Stdout == "" && time.Since(begin) < patience; {
			}
			pid := b.Run("inspect", "-f", "{{.State.Pid}}", "still").Line()
			e := b.Run("top", "still", "-o", "pid,comm")
			lines := strings.Split(e.Line(), "\n")
			// ps sorts by numbers, and after pid_max they begin at 300 again: sh need not be the first.
			shell := slices.ContainsFunc(lines, func(line string) bool { return words(line) == pid+" sh" })
			return all(same("PID COMMAND", words(lines[0])), ended(shell && len(lines) == 4, pid+" sh, and two sleeps", e),
				refused(b.Run("top", "still", "-o", "comm")))
		})
	},
	Broken: `[ "$1" = top ] && { shift 2; exec ps "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "volume create, inspect and prune: labels are kept, and what has a name or is in use stays", Since: 4,
	Check: func(b *Box) Seen {
		list := func(args ...string) Ended { return b.Run(append([]string{"volume", "ls", "-q"}, args...)...).oneLine() }
		create, unnamed := b.Run("volume", "create", "--label", "team=red", "data"), b.Run("volume", "create")
		used := b.script("true", "--name", "user", "-v", "used:/data")
		return all(printed("data", create), status(0, unnamed), printed("data", b.Run("volume", "create", "data")), status(0, used),
			printed("data", list("-f", "label=team=red")), printed("used", list("-f", "dangling=false")),
			printed(filepath.Join(b.store(), "volumes/data/_data")+" red", b.Run("volume", "inspect", "-f", "{{.Mountpoint}} {{.Labels.team}}", "data")),
			status(0, b.Run("volume", "prune", "-f")), printed("data used", list()),
			status(0, b.Run("volume", "prune", "-a", "-f")), printed("used", list()), status(1, b.Run("volume", "inspect", "data")))
	},
	Broken: `[ "$1 $2" = "volume prune" ] && { "$BOX" volume ls -q | xargs -n 1 "$BOX" volume rm -f; exit 0; }; exec "$BOX" "$@"`,
}, {
	Name: "an empty volume is filled from the root, and one that a container has emptied is not", Since: 4,
	Check: func(b *Box) Seen {
		create := b.Run("volume", "create", "data")
		e := b.script("ls /bin/sh; rm -r /bin/*", "--name", "one", "-v", "data:/bin", "--init")
		again := b.script("ls -d /data/*", "--rm", "-v", "data:/data")
		return all(status(0, create), printed("/bin/sh", e), refusedBy(again), printed("/bin/sh", b.script("ls /bin/sh", "--rm", "-v", "data:/bin")))
	},
	Broken: `[ "$1 $2" = "volume create" ] && { mkdir -p "$BOX_ROOT/volumes/data/_data/x"; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "--mount volume-subpath: a directory or a file of a volume, and no link leads out of it", Since: 4,
	Check: func(b *Box) Seen {
		made := b.script("mkdir /data/sub; echo x >/data/sub/file; ln -s /etc /data/out; ln -s sub /data/in", "--rm", "-v", "data:/data")
		shown := func(command, path string) Ended {
			return b.script(command, "--rm", "--mount", "src=data,dst=/here,volume-subpath="+path)
		}
		return all(status(0, made), printed("x", shown("cat /here/file", "sub")), printed("x", shown("cat /here", "sub/file")), printed("x", shown("cat /here/file", "in")),
			refused(shown("true", "out")), refused(shown("true", "none")), refused(shown("true", "../data")))
	},
	Broken: `for a; do shift; set -- "$@" "${a%,volume-subpath=*}"; done; exec "$BOX" "$@"`,
}, {
	Name: "exec -u: a number is an id, also where a user has it for a name, and one out of range is refused", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			as := func(user string) Ended {
				return b.Run("exec", "-u", user, "still", "sh", "-c", "echo $(id -u) $(id -g)")
			}
			named := b.Run("exec", "still", "sh", "-c", "echo 4321:x:0:0::/: >>/etc/passwd; echo 4322:x:0: >>/etc/group")
			return all(status(0, named), printed("4321 0", as("4321")), printed("4321 4322", as("4321:4322")), refused(as("4294967296")), refused(as("4321:4294967296")))
		})
	},
	Broken: `[ "$1 $2" = "exec -u" ] && { shift 3; set -- exec -u 0 "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "restart of a container with --rm: it is removed when it ends, and not in between", Since: 4,
	Check: func(b *Box) Seen {
		start := b.script("sleep 100", "-d", "--rm", "--name", "one")
		pid := func() Ended { return b.Run("inspect", "-f", "{{.State.Pid}}", "one") }
		before := pid()
		restart := b.Run("restart", "one")
		after := pid()
		stop := b.Run("stop", "one")
		return all(status(0, start), printed("one", restart), holds(before.Line() != after.Line() && after.Status == 0, "another process", after.Line()),
			status(0, stop), printed("", b.Run("ps", "-aq")))
	},
	Broken: `[ "$1" = restart ] && { echo "$2"; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "--restart: on-failure:2 ends with the third run, always goes on until stop", Since: 4,
	Check: func(b *Box) Seen {
		start := b.script("echo run; exit 3", "-d", "--name", "failing", "--restart", "on-failure:2")
		wait := b.Run("wait", "failing")
		return all(status(0, start), printed("3", wait), printed("run run run", b.Run("logs", "failing").oneLine()),
			printed("2 exited", b.Run("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "failing")),
			b.withStill([]string{"-d", "--name", "still", "--restart", "always"}, "exit 0", func() Seen {
				again := b.Run("wait", "failing") // does not wait; but the other has ended by now
				first := b.Run("ps", "-q", "-f", "name=still")
				stop := b.Run("stop", "still")
				return all(status(0, again), holds(first.Line() != "", "the container in the list while it is restarted", first.Stdout), status(0, stop),
					printed("", b.Run("ps", "-q")), printed("exited", b.Run("inspect", "-f", "{{.State.Status}}", "still")))
			}), refused(b.script("true", "--restart", "always")), refused(b.script("true", "-d", "--restart", "sometimes")))
	},
	Broken: `for a; do shift; case $a in always|on-failure:2) a=no; esac; set -- "$@" "$a"; done; exec "$BOX" "$@"`,
}, {
	Name: "kill with the container's own stop signal ends its restarts, and with another does not", Since: 5,
	Check: func(b *Box) Seen {
		flags := []string{"-d", "--name", "still", "--restart", "always", "--stop-signal", "USR1"}
		return b.withStill(flags, `trap "exit 3" USR1 TERM; echo ready; while :; do sleep 0.05; done`, func() Seen {
			is := func(runs int, state string) string {
				var seen Ended
				for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
					seen = b.Run("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "still")
					ready := strings.Count(b.Run("logs", "still").Stdout, "ready") >= runs
					if count, now, _ := strings.Cut(seen.Line(), " "); ready && now == state || count > itoa(runs-1) {
						break
					}
				}
				return seen.Line()
			}
			first, term := is(1, "running"), b.Run("kill", "-s", "TERM", "still")
			second, own := is(2, "running"), b.Run("kill", "-s", "USR1", "still")
			return all(same("0 running", first), status(0, term), same("1 running", second), status(0, own), same("1 exited", is(2, "exited")))
		})
	},
	Broken: `[ "$1" = kill ] && exec "$BOX" kill -s TERM still; exec "$BOX" "$@"`,
}, {
	Name: "--volumes-from: the volumes of another container, its nameless ones too, and read-only with ro; one's own win", Since: 4,
	Check: func(b *Box) Seen {
		first := b.script("echo named >/a/file; echo nameless >/b/file; echo hidden >/c/file", "--name", "first", "-v", "data:/a", "-v", "/b", "-v", "other:/c")
		second := b.script("cat /a/file /b/file; ls /c; echo no 2>/dev/null >/a/file || echo refused; echo more >/c/new", "--name", "second", "--volumes-from", "first:ro", "-v", "/b", "-v", "own:/c")
		return all(status(0, first), printed("named nameless refused", second.oneLine()), printed("new file", b.script("echo $(ls /c) $(ls /b)", "--rm", "--volumes-from", "second").oneLine()),
			refused(b.script("true", "--volumes-from", "nosuch")), refused(b.script("true", "--volumes-from", "first:x")))
	},
	Broken: drop("--volumes-from | first:ro"),
}, {
	Name: "rm -f of a container that is not there is no error, says so, and prints no name", Since: 4,
	Check: func(b *Box) Seen {
		start := b.script("true", "--name", "one")
		removed := b.Run("rm", "-f", "typo", "one")
		return all(status(0, start), printed("one", removed), holds(strings.Contains(removed.Stderr, "typo"), "the name that is not one", removed.Stderr))
	},
	Broken: `[ "$1" = rm ] && { echo typo; echo one; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "cp: into and out of a container that runs or not, through its volumes, and no link leads out", Since: 4,
	Check:  copied,
	Broken: `[ "$1" = cp ] && exit; exec "$BOX" "$@"`,
}}

// copied copies a file of the host into containers, and back.
func copied(b *Box) Seen {
	file, back := filepath.Join(b.Dir, "file"), filepath.Join(b.Dir, "back")
	if err := errors.Join(os.WriteFile(file, []byte("x\n"), 0o644), os.Chmod(file, 0o644), os.Mkdir(back, 0o777), os.Chmod(back, 0o777)); err != nil {
		return failed(err)
	}
	e := b.script("ln -s "+b.Dir+" /out; mkdir /tmp/dir", "--name", "one", "-v", "data:/data")
	out, in := b.Run("cp", "one:/out/file", back), b.Run("cp", file, "one:/out/new")
	outside, _ := os.ReadDir(back)
	seen := all(status(0, e), refused(out), refused(in), same("0", fmt.Sprint(len(outside))),
		status(0, b.Run("cp", file, "one:/data/new")), printed("x", b.script("cat /data/new", "--rm", "-v", "data:/data")),
		status(0, b.Run("cp", "one:/tmp/dir", back+"/dir")), status(0, b.Run("cp", file, "one:/tmp/dir")))
	running := b.detached("sleep 100", func() Seen {
		in, out := b.Run("cp", file, "still:/tmp/"), b.Run("cp", "still:/tmp/file", back+"/dir")
		archive := b.Run("cp", "still:/tmp/file", "-")
		data, err := os.ReadFile(back + "/dir/file")
		header, errArchive := tar.NewReader(strings.NewReader(archive.Stdout)).Next()
		if err := errors.Join(err, errArchive); err != nil {
			return failed(err)
		}
		return all(status(0, in), printed("x", b.Run("exec", "still", "cat", "/tmp/file")), status(0, out), same("x\n", string(data)), same("file", header.Name),
			status(0, b.Feed(archive.Stdout, "cp", "-", "still:/")), printed("x", b.Run("exec", "still", "cat", "/file")), refused(b.Run("cp", file, "still:/none/")))
	})
	return all(seen, running)
}

// refusedBy is a status of the command's own, and not 0.
func refusedBy(e Ended) Seen {
	return ended(e.Status > 0 && e.Status < 125, "a status from 1 to 124", e)
}
