package behave

import (
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The rows about who sees what a container prints, and about containers that are made, started
// and stopped. The rows' container is named still.

func init() { table = append(table, attachRows...) }

var attachRows = []Row{{
	Name: "output that is not read any more ends a run with 141, as it ends any filter", Since: 1,
	Check: func(b *Box) Seen {
		filter := `{ "$0" run /bin/sh -c 'while :; do echo x; done' 2>/dev/null; echo $? >status; } | head -1; cat status`
		return same("x 141", words(b.prepare("sh", "-c", filter, b.path).toItsEnd().Stdout))
	},
	Broken: zero,
}, {
	Name: "output that is not read any more ends a container that is kept, with and without a terminal", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		filter := `for flags in "--name kept" "--name tty -t" "--rm -t"; do
{ "$0" run $flags --rootfs "$1" sh -c 'while :; do echo x; done' 2>/dev/null; echo $? >status; } | head -1; cat status; done; "$0" ps -q`
		return same("x 141 x 141 x 141", words(b.prepare("sh", "-c", filter, b.path, root).toItsEnd().Stdout))
	},
	Broken: zero,
}, {
	Name: "create keeps a container that start runs later, and ps -a lists it meanwhile", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		id := b.Run("create", "--rootfs", root, "--name", "/still", "sh", "-c", "echo ran; exit 7")
		none, listed := b.Run("ps", "-q"), b.Run("ps", "-a")
		start := b.Run("start", "-a", "still")
		return all(status(0, id), printed(id.Line(), b.Run("inspect", "-f", "{{.Id}}", "/still")), printed("", none),
			holds(strings.Contains(listed.Stdout, "Created"), "Created", listed.Stdout), same("ran\n", start.Stdout), status(7, start))
	},
	Broken: `[ "$1" = create ] && { shift; exec "$BOX" run "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "a run whose command cannot be started stays as created, and is removed with --rm", Since: 4,
	Check: func(b *Box) Seen {
		kept, gone := b.inRoot([]string{"--name", "still"}, "stagebox-none"), b.inRoot([]string{"--rm"}, "stagebox-none")
		return all(status(127, kept), status(127, gone), printed("created 127", b.Run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "still")),
			status(1, b.Run("start", "still")), status(1, b.Run("start", "-a", "still")), status(1, b.Run("restart", "still")),
			holds(len(b.Run("ps", "-aq").Line()) == 12, "one container", b.Run("ps", "-a").Stdout))
	},
	Broken: `[ "$1" = run ] && { "$BOX" "$@"; status=$?; "$BOX" rm still >/dev/null 2>&1; exit $status; }; exec "$BOX" "$@"`,
}, {
	Name: "a container that is kept has a log of its runs in the foreground too, and --rm has none", Since: 4,
	Check: func(b *Box) Seen {
		first := b.script("echo one; echo err >&2; printf end", "--name", "still")
		again, logs := b.Run("start", "-a", "still"), b.Run("logs", "still")
		return all(same("one\nend", first.Stdout), same("err\n", first.Stderr), same("one\nend", again.Stdout),
			same("one\nendone\nend", logs.Stdout), same("err\nerr\n", logs.Stderr))
	},
	Broken: `[ "$1" = start ] && { "$BOX" "$@" | cat; exec "$BOX" rm -f still; }; exec "$BOX" "$@"`,
}, {
	Name: "run --sig-proxy=false: a signal ends run alone, and nothing that is printed before is lost", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		script := `"$0" run --name still --sig-proxy=false --rootfs "$1" sh -c 'echo begun; exec sleep 1000' >out & pid=$!
until grep begun out || ! kill -0 $pid; do sleep 0.01; done
kill $pid; wait $pid; echo $?; "$0" inspect -f '{{.State.Status}}' still; "$0" rm -f still
for flags in "" "" "" --rm --rm --rm; do echo typed | "$0" run -i $flags --sig-proxy=false --rootfs "$1" sh -c 'read line; echo $line; exit 7'; echo $?; done
"$0" run --sig-proxy=false --rootfs "$1" stagebox-none; echo $?`
		e := b.prepare("sh", "-c", script, b.path, root).toItsEnd()
		return all(same("begun 143 running still"+strings.Repeat(" typed 7", 6)+" 127", words(e.Stdout)), refused(b.Run("run", "--sig-proxy=false", "/bin/true")))
	},
	Broken: drop("--sig-proxy=false"),
}, {
	Name: "attach shows what a container prints, passes on what is typed, and ends with its exit status", Since: 4,
	Check: func(b *Box) Seen {
		flags := []string{"-d", "-i", "--name", "still"}
		return b.withStill(flags, "echo before; read line; echo got $line; echo err >&2; exit 7", func() Seen {
			for begin := time.Now(); b.Run("logs", "still").Stdout == "" && time.Since(begin) < patience; {
			}
			e := b.Feed("hello\n", "attach", "still")
			return all(same("got hello\n", e.Stdout), same("err\n", e.Stderr), status(7, e), refused(b.Run("attach", "still")))
		})
	},
	Broken: `[ "$1" = attach ] && exec "$BOX" logs still; exec "$BOX" "$@"`,
}, {
	Name: "attach at a terminal: its size arrives, the keys to detach end it, and the container goes on", Since: 4,
	Check: func(b *Box) Seen {
		flags := []string{"-d", "-it", "--name", "still"}
		return b.withStill(flags, "read line; while :; do stty size; sleep 0.1; done", func() Seen {
			c, err := b.StartAtTerminal("line\n", "attach", "--detach-keys", "x,ctrl-q", "still")
			if err != nil {
				return failed(err)
			}
			size, err := c.line()
			for ; err == nil && size != "24 80"; size, err = c.line() {
			}
			if err == nil {
				_, err = c.in.WriteString("x\x11")
			}
			if err != nil {
				return failed(err)
			}
			e := c.Wait()
			return all(holds(strings.HasSuffix(e.Stdout, "read escape sequence\r\n"), "read escape sequence", e.Stdout),
				status(1, e), printed("running", b.Run("inspect", "-f", "{{.State.Status}}", "still")))
		})
	},
	Broken: `[ "$1" = attach ] && { "$BOX" "$@"; status=$?; "$BOX" stop -t 0 still >/dev/null; exit $status; }; exec "$BOX" "$@"`,
}, {
	Name: "the keys to detach leave run -it, start -ai and exec -it, and what they run goes on", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		script := "echo ready; while read line; do :; done"
		return b.withStill([]string{"-d", "-it", "--name", "still"}, script, func() Seen {
			exec := b.leave("exec", "-it", "--detach-keys", "x,ctrl-q", "still", "sh", "-c", "echo ready; sleep 1000")
			processes := b.Run("top", "still")
			seen := all(holds(strings.HasSuffix(exec.Stdout, "read escape sequence\r\n"), "read escape sequence", exec.Stdout), status(1, exec),
				holds(strings.Contains(processes.Stdout, "sleep"), "sleep", processes.Stdout))
			b.Run("stop", "-t", "0", "still")
			again := b.leave("start", "-ai", "--detach-keys", "x,ctrl-q", "still")
			first := b.leave("run", "-it", "--name", "other", "--detach-keys", "x,ctrl-q", "--rootfs", root, "sh", "-c", script)
			states := b.Run("inspect", "-f", "{{.State.Status}}", "still", "other")
			b.Run("rm", "-f", "other")
			return all(seen, status(0, again), status(0, first), printed("running\nrunning", states))
		})
	},
	Broken: `case $1 in start | run | exec) ;; *) exec "$BOX" "$@" ;; esac
case "$*" in *ctrl*) ;; *) exec "$BOX" "$@" ;; esac
"$BOX" "$@"; status=$?; "$BOX" kill still other >/dev/null 2>&1; exit $status`,
}, {
	Name: "exec has the exit statuses 127, 126 and, where there is no process to join, 1", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			return all(status(127, b.Run("exec", "still", "stagebox-none")), status(126, b.Run("exec", "still", "/etc")),
				status(126, b.Run("exec", "-w", "/stagebox-none", "still", "true")), status(126, b.Run("exec", "-w", "/bin/sh", "still", "true")),
				status(1, b.Run("exec", "stagebox-none", "true")))
		})
	},
	Broken: `"$BOX" "$@"; status=$?; [ $status = 126 ] && exit 125; exit $status`,
}, {
	Name: "a command that does not find a container fails with 1, and goes on with the others", Since: 4,
	Check: func(b *Box) Seen {
		var parts []Seen
		for _, line := range []string{"start", "start -a", "stop", "restart", "kill", "wait", "logs", "attach", "rename none", "top", "pause", "unpause", "update -m 64m",
			"diff", "inspect", "export -o file", "cp file", "rm", "volume rm", "volume inspect"} {
			words := append(strings.Fields(line), "none")
			if words[0] == "cp" {
				words[2] = "none:/"
			}
			e := b.Run(words...)
			parts = append(parts, ended(e.Status == 1 && strings.HasPrefix(e.Stderr, "box: "), `exit 1, standard error "box: …"`, e))
		}
		root, err := b.root()
		if err != nil {
			return failed(err)
		}
		b.Run("create", "--rootfs", root, "--name", "still", "true")
		both := b.Run("rm", "first", "still", "second")
		says := regexp.MustCompile(`^box: [^\n]*"first"[^\n]*\nbox: [^\n]*"second"[^\n]*\n$`)
		return all(append(parts, status(1, both), same("still\n", both.Stdout), holds(says.MatchString(both.Stderr), "an error for each", both.Stderr))...)
	},
	Broken: `"$BOX" "$@"; status=$?; [ $status = 1 ] && exit 125; exit $status`,
}, {
	Name: "start of a container that runs is harmless, and restart runs it again", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			pid := func() string { return b.Run("inspect", "-f", "{{.State.Pid}}", "still").Line() }
			first := pid()
			again, second := b.Run("start", "still"), pid()
			restart, third := b.Run("restart", "still"), pid()
			return all(printed("still", again), same(first, second), printed("still", restart),
				holds(third != first && third != "0", "another process", third))
		})
	},
	Broken: `[ "$1" = restart ] && exec echo still; exec "$BOX" "$@"`,
}, {
	Name: "update is kept by stop and start, shown by inspect, and changes a container that does not run", Since: 4, For: Root,
	Check:  updateKept,
	Broken: `[ "$1" = update ] && exec echo still; exec "$BOX" "$@"`,
}, {
	Name: "stop kills what would never get the signal at once: 137; with -t it waits", Since: 4,
	Check: func(b *Box) Seen {
		script := "sleep 2; exit 9"
		return b.detached(script, func() Seen {
			killed := all(printed("still", b.Run("stop", "still")), printed("137", b.Run("wait", "still")))
			b.Run("start", "still")
			waited := b.Run("stop", "-t", "100", "still")
			return all(killed, printed("still", waited), printed("9", b.Run("wait", "still")))
		})
	},
	Broken: `[ "$1 $2" = "stop -t" ] && exec "$BOX" stop still; exec "$BOX" "$@"`,
}, {
	Name: "exec -d leaves a command running, and says why one cannot be started", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			e := b.Run("exec", "-d", "still", "sh", "-c", "echo lost; echo made >/tmp/made")
			made := b.Run("exec", "still", "cat", "/tmp/made")
			for begin := time.Now(); made.Stdout == "" && time.Since(begin) < patience; {
				time.Sleep(10 * time.Millisecond)
				made = b.Run("exec", "still", "cat", "/tmp/made")
			}
			none := b.Run("exec", "-d", "still", "stagebox-none")
			return all(printed("", e), same("made\n", made.Stdout), status(127, none), holds(none.Stderr != "", "a sentence", none.Stderr))
		})
	},
	Broken: `[ "$1 $2" = "exec -d" ] && { shift 2; exec "$BOX" exec "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "pause says that a container is paused already, and exec, attach and start how it goes on", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			both := b.Run("pause", "still", "still")
			exec, attach, start, back := b.Run("exec", "still", "true"), b.Run("attach", "still"), b.Run("start", "still"), b.Run("unpause", "still")
			const says = "box: container still is paused: box unpause still resumes it\n"
			return all(ended(both.Status == 1 && both.Line() == "still" && strings.Contains(both.Stderr, "already"), "still, once", both),
				status(1, exec), same(says, exec.Stderr), status(1, attach), same(says, attach.Stderr), status(1, start), same(says, start.Stderr), printed("still", back))
		})
	},
	Broken: `[ "$1" = pause ] && { "$BOX" pause still; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "build: output that is not read any more ends a build with 141, and nothing of it is left", Since: 6,
	Check: func(b *Box) Seen {
		filter := `mkdir tmp; { printf 'FROM tiny\nRUN while :; do echo x; done\n' | TMPDIR=$PWD/tmp "$0" build - 2>&1; echo $? >status; } | head -3 >/dev/null; cat status; ls tmp; "$0" ps -aq`
		return same("141", words(b.prepare("sh", "-c", filter, b.path).toItsEnd().Stdout))
	},
	Broken: zero,
}, {
	Name: "a run whose port is taken stays as created, and is removed with --rm", Since: 8, For: Root,
	Check: inNetwork(func(n *testNet) Seen {
		if _, err := n.server("web", "--network", "bridge", "-p", "8080:80"); err != nil {
			return failed(err)
		}
		flags := []string{"--network", "bridge", "-p", "8080:80"}
		kept, gone := n.script("true", append(flags, "--name", "still")...), n.script("true", append(flags, "--rm", "--name", "gone")...)
		return all(refused(kept), refused(gone), printed("created", n.Run("inspect", "-f", "{{.State.Status}}", "still")), refused(n.Run("rm", "gone")))
	}),
	Broken: `[ "$1" = run ] && { "$BOX" "$@"; status=$?; "$BOX" rm still >/dev/null 2>&1; exit $status; }; exec "$BOX" "$@"`,
}}

// updateKept asks the kernel and the record after each change.
func updateKept(b *Box) Seen {
	if !b.hasController("pids") {
		return Seen{Cannot: "the kernel offers no pids controller"}
	}
	return b.detached("sleep 100", func() Seen {
		limit := func() string {
			dir, _, err := b.group(b.Run("inspect", "-f", "{{.State.Pid}}", "still").Line(), "pids")
			if err != nil {
				return err.Error()
			}
			return words(contentOf(filepath.Join(dir, "pids.max"))) + " " + b.Run("inspect", "-f", "{{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}", "still").Line()
		}
		seen := []Seen{printed("still", b.Run("update", "--pids-limit", "17", "still")), same("17 17 0", limit())}
		b.Run("stop", "still")
		b.Run("start", "still")
		seen = append(seen, same("17 17 0", limit()))
		b.Run("stop", "still")
		seen = append(seen, printed("still", b.Run("update", "--pids-limit", "18", "--cpu-shares", "512", "still")), refused(b.Run("update", "--memory-swap", "64m", "still")))
		b.Run("start", "still")
		if b.hasController("cpu") {
			cpu := func(flags ...string) Ended { return b.Run(append([]string{"update", "still"}, flags...)...) }
			shown := func() Ended {
				return b.Run("inspect", "-f", "{{.HostConfig.NanoCpus}} {{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}}", "still")
			}
			seen = append(seen, printed("still", cpu("--cpu-period", "50000", "--cpu-quota", "25000")), printed("0 50000 25000", shown()), refused(cpu("--cpus", "1")),
				printed("still", cpu("--cpus", "0.5", "--cpu-quota", "0")), printed("500000000 0 0", shown()), refused(cpu("--cpu-quota", "25000")))
		}
		seen = append(seen, same("18 18 512", limit()), printed("still", b.Run("update", "--pids-limit", "0", "--cpu-shares", "0", "still")))
		return all(append(seen, same("max <no value> 0", limit()))...)
	})
}

// leave types the keys to detach when the command has printed a line.
func (b *Box) leave(args ...string) Ended {
	c, err := b.StartAtTerminal("", args...)
	if err == nil {
		_, err = c.in.WriteString("x\x11")
	}
	if err != nil {
		return Ended{Err: err}
	}
	return c.Wait()
}
