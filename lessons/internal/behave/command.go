package behave

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The rows about the command: what it is given, and how its end is reported.

var commandRows = []Row{{
	Name: "the exit status of a command that succeeds is 0", Since: 1,
	Check:  func(b *Box) Seen { return status(0, b.Run("run", "/bin/true")) },
	Broken: `"$BOX" "$@"; exit 1`,
}, {
	Name: "the exit status is the command's own", Since: 1,
	Check:  func(b *Box) Seen { return status(3, b.Run("run", "/bin/sh", "-c", "exit 3")) },
	Broken: zero,
}, {
	Name: "a command that a signal kills has the exit status 128 and the signal's number", Since: 1,
	Check:  killed,
	Broken: zero,
}, {
	Name: "a command that does not exist has the exit status 127", Since: 1,
	Check:  func(b *Box) Seen { return status(127, b.Run("run", b.Dir+"/none")) },
	Broken: one,
}, {
	Name: "a word without a slash is searched for in PATH", Since: 1, Until: 4,
	Check: func(b *Box) Seen {
		none := b.Run("run", "stagebox-no-such-command")
		return all(printed("found", b.Run("run", "echo", "found")), status(127, none), holds(strings.Contains(none.Stderr, "PATH="), "PATH=", none.Stderr), status(127, b.Run("run", "")))
	},
	Broken: `[ "$1" = run ] && { shift; set -- run "./$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "a command that cannot be executed has the exit status 126", Since: 1,
	Check:  notExecutable,
	Broken: one,
}, {
	Name: "a run without a command is refused", Since: 1,
	Check:  func(b *Box) Seen { return refused(b.Run("run")) },
	Broken: one,
}, {
	Name: "a flag that does not exist is refused", Since: 1,
	Check:  func(b *Box) Seen { return refused(b.Run("run", "--no-such-flag", "/bin/true")) },
	Broken: one,
}, {
	Name: "a run that fails before its program begins has the exit status 125, and another command 1", Since: 1,
	Check: func(b *Box) Seen {
		long := b.Run("run", "--hostname", strings.Repeat("x", 65), "/bin/true")
		return all(status(125, long), refused(long), status(1, b.Run("exec", "4194305", "true")), status(125, b.Run("exec", "--no-such-flag", "1", "true")))
	},
	Broken: `"$BOX" "$@"; status=$?; [ $status = 1 ] && exit 125; exit $status`,
}, {
	Name: "a namespace that does not exist is refused", Since: 1,
	Check:  func(b *Box) Seen { return refused(b.Run("run", "--share", "nonsense", "/bin/true")) },
	Broken: one,
}, {
	Name: "arguments arrive as they are, with spaces, newlines and nothing in them", Since: 1,
	Check: func(b *Box) Seen {
		return printed("<a b><c\nd><><*><--flag>", b.Run("run", "/usr/bin/printf", "<%s>", "a b", "c\nd", "", "*", "--flag"))
	},
	Broken: `exec "$BOX" $*`,
}, {
	Name: "the environment is PATH, HOSTNAME and HOME, and nothing of the caller's", Since: 1,
	Check:  func(b *Box) Seen { return environment(b.Run("run", "/bin/cat", "/proc/self/environ")) },
	Broken: before("export STAGEBOX_SECRET=1"),
}, {
	Name: "standard input reaches the command", Since: 1,
	Check:  func(b *Box) Seen { return printed("hello", b.Feed("hello", "run", "/bin/cat")) },
	Broken: `exec "$BOX" "$@" </dev/null`,
}, {
	Name: "standard output and standard error are kept apart", Since: 1,
	Check:  func(b *Box) Seen { return apartStreams(b.Run("run", "/bin/sh", "-c", "echo out; echo err >&2")) },
	Broken: `exec "$BOX" "$@" 2>&1`,
}, {
	Name: "the command has no descriptor but the three standard ones", Since: 1,
	Check:  descriptors,
	Broken: before("exec 9</dev/null"),
}, {
	Name: "no signal is blocked or ignored inside", Since: 1,
	Check:  dispositions,
	Broken: before(`trap "" USR1`),
}}

// refused is what bad input gets: a sentence and 125, or, from another command than run, 1.
func refused(e Ended) Seen {
	sentence := strings.HasPrefix(e.Stderr, "box: ") && e.Stdout == ""
	if e.Command == "run" {
		return ended(e.Status == 125 && sentence, `exit 125, standard error "box: …"`, e)
	}
	return ended((e.Status == 1 || e.Status == 125) && sentence, `exit 1 or 125, standard error "box: …"`, e)
}

// killed kills the command from outside. From inside it cannot be: it is process 1.
func killed(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err == nil {
		err = unix.Kill(c.PID, unix.SIGKILL)
	}
	if err != nil {
		return failed(err)
	}
	return status(128+int(unix.SIGKILL), c.Wait())
}

func notExecutable(b *Box) Seen {
	path := filepath.Join(b.Dir, "file")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o644); err != nil {
		return failed(err)
	}
	return all(status(126, b.Run("run", path)), status(126, b.Run("run", b.Dir)))
}

// environment expects these names and no others. A terminal may add TERM.
func environment(e Ended) Seen {
	var names []string
	for _, variable := range strings.Split(strings.Trim(e.Stdout, "\x00"), "\x00") {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	saw := strings.TrimSuffix(strings.Join(names, " "), " TERM")
	return ended(e.Status == 0 && saw == "HOME HOSTNAME PATH", "HOME HOSTNAME PATH", e)
}

func apartStreams(e Ended) Seen {
	expected := Ended{Stdout: "out\n", Stderr: "err\n"}
	return same(expected.String(), e.String())
}

// descriptors looks from outside: a program that lists its own has to open the list.
// The caller has left descriptor 9 open, as it does in every run.
func descriptors(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	return same("0 1 2", strings.Join(b.names(c.pid()+"/fd"), " "))
}

// dispositions allows for the signals that this process was itself started to ignore, as
// nohup(1) does.
func dispositions(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	const expected = "SigBlk 0, SigIgn 0"
	blocked, errBlk := strconv.ParseUint(b.status(c.pid(), "SigBlk"), 16, 64)
	ignored, errIgn := strconv.ParseUint(b.status(c.pid(), "SigIgn"), 16, 64)
	ours, errOurs := strconv.ParseUint(b.status(host, "SigIgn"), 16, 64)
	for _, err := range []error{errBlk, errIgn, errOurs} {
		if err != nil {
			return holds(false, expected, err.Error())
		}
	}
	return same(expected, "SigBlk "+strconv.FormatUint(blocked, 16)+", SigIgn "+strconv.FormatUint(ignored&^ours, 16))
}
