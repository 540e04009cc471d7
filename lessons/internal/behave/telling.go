package behave

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The rows about what the binary tells, held against what the kernel knows.

var tellingRows = []Row{{
	Name: "lsns shows a running container by its process and its PID namespace", Since: 1,
	Check:  listed,
	Broken: `[ "$1" = lsns ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "info names the kernel", Since: 1,
	Check: func(b *Box) Seen {
		release, e := strings.TrimSpace(b.text("sys/kernel/osrelease")), b.Run("info")
		return ended(e.Status == 0 && strings.Contains(e.Stdout, release), "exit 0, and "+release, e)
	},
	Broken: `[ "$1" = info ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "version prints one line", Since: 1,
	Check: func(b *Box) Seen {
		e := b.Run("version")
		return ended(e.Status == 0 && strings.Count(e.Stdout, "\n") == 1, "exit 0, and one line", e)
	},
	Broken: `[ "$1" = version ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "--dry-run prints the system calls and makes none", Since: 1,
	Check:  dryRun,
	Broken: drop("--dry-run"),
}, {
	Name: "--explain tells on standard error, and leaves the command's output alone", Since: 1,
	Check: func(b *Box) Seen {
		e := b.Run("run", "--explain", "/bin/sh", "-c", "echo out; exit 3")
		tells := strings.Contains(e.Stderr, "execve(")
		return ended(e.Status == 3 && e.Line() == "out" && tells, `exit 3, printed "out", standard error with execve(…)`, e)
	},
	Broken: `exec "$BOX" "$@" 2>&1`,
}, {
	Name: "--explain tells the number of the process that it made", Since: 1,
	Check:  toldNumber,
	Broken: drop("--explain"),
}}

func listed(b *Box) Seen {
	c, err := b.Cat("run", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	number := strings.Trim(b.namespace(c.pid(), "pid"), "pid:[]")
	var line string
	e := b.Run("lsns")
	for l := range strings.Lines(e.Stdout) {
		if fields := strings.Fields(l); len(fields) > 0 && fields[0] == c.pid() {
			line = l
		}
	}
	return holds(e.Status == 0 && slices.Contains(strings.Fields(line), number),
		"a line that begins with "+c.pid()+" and has "+number, words(line))
}

// dryRun lets a command that would leave a trace not run.
func dryRun(b *Box) Seen {
	path := filepath.Join(b.Dir, "made")
	e := b.Run("run", "--dry-run", "/bin/touch", path)
	_, err := os.Lstat(path)
	saw := e.String()
	if err == nil {
		saw += "; and the command has run"
	}
	return holds(e.Status == 0 && strings.Contains(e.Stdout, "execve(") && err != nil,
		"exit 0, execve(…) printed, and no "+path, saw)
}

var cloneLine = regexp.MustCompile(`\b(?:clone3?|fork)\(.*\) = \d+`)

func toldNumber(b *Box) Seen {
	c, err := b.Cat("run", "--explain", "/bin/cat")
	if err != nil {
		return failed(err)
	}
	told := cloneLine.FindString(c.Stop().Stderr)
	return holds(strings.HasSuffix(told, " = "+c.pid()), "clone3(…) = "+c.pid(), told)
}
