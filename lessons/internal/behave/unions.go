package behave

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The rows about layers, and about containers that last. Who runs one detached takes it away
// at the end, with the binary itself and not with a broken one.

var unionRows = []Row{{
	Name: "--layer: all layers are seen as one, a higher file before a lower one", Since: 4,
	Check:  layersAsOne,
	Broken: drop("--layer | */upper"),
}, {
	Name: "what a container writes and removes changes no layer", Since: 4,
	Check: func(b *Box) Seen {
		root, err := b.ownRoot()
		if err != nil {
			return failed(err)
		}
		e := b.Run("run", "--rootfs", root, "sh", "-c", "echo mine >/stagebox-mine; rm -f /etc/os-release; ls /stagebox-mine")
		_, mine := os.Lstat(root + "/stagebox-mine")
		outside := map[bool]string{true: "no such file outside", false: "it is outside"}[errors.Is(mine, os.ErrNotExist)]
		return all(printed("/stagebox-mine", e), same("no such file outside", outside))
	},
	Broken: `[ "$1" = run ] && touch "$3/stagebox-mine"; "$BOX" "$@"; status=$?; exit $status`,
}, {
	Name: "a container that has ended can be started again, with its files", Since: 4,
	Check: func(b *Box) Seen {
		first := b.script("cat /tmp/times 2>/dev/null; echo once more >>/tmp/times", "--name", "again")
		return all(printed("", first), printed("once more", b.Run("start", "-a", "again")))
	},
	Broken: `[ "$1" = start ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "--rm leaves no container, and without it one is listed with its exit status", Since: 4,
	Check: func(b *Box) Seen {
		gone, kept := b.script("true", "--rm"), b.script("exit 7", "--name", "kept")
		e := b.Run("ps", "-a")
		lines := strings.Split(e.Line(), "\n")
		return all(status(0, gone), status(7, kept), ended(len(lines) == 2 && strings.Contains(e.Stdout, "Exited (7)") && strings.HasSuffix(lines[1], " kept"), "one line, of kept", e))
	},
	Broken: drop("--rm"),
}, {
	Name: "-d: a container runs on, its log keeps what it prints, wait tells how it has ended", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("trap 'exit 9' TERM; echo out; echo err >&2; while :; do sleep 0.01; done", func() Seen {
			running := b.Run("inspect", "-f", "{{.State.Status}}", "still")
			for begin := time.Now(); b.Run("logs", "still").Stderr != "err\n" && time.Since(begin) < patience; {
				time.Sleep(10 * time.Millisecond)
			}
			logs, stop := b.Run("logs", "still"), b.Run("stop", "still")
			return all(printed("running", running), holds(logs.Stdout == "out\n", "out", logs.Stdout), status(0, stop), printed("9", b.Run("wait", "still")))
		})
	},
	Broken: `[ "$1" = wait ] && { "$BOX" "$@" >/dev/null; echo 0; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "-d: another user than root may open /dev/stdout and /dev/stderr", Since: 4, For: Root,
	Check: func(b *Box) Seen {
		e := b.script("echo out >/dev/stdout; echo err >/dev/stderr", "-d", "--name", "still", "-u", "1000")
		wait, logs := b.Run("wait", "still"), b.Run("logs", "still")
		return all(status(0, e), status(0, wait), same("out\nerr\n", logs.Stdout+logs.Stderr))
	},
	Broken: `[ "$1" = logs ] && exec "$BOX" logs still 2>/dev/null; exec "$BOX" "$@"`,
}, {
	Name: "when its monitor is killed, the container ends, and is listed as ended", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			pid := b.Run("inspect", "-f", "{{.State.Pid}}", "still").Line()
			kill := b.prepare("sh", "-c", `kill -9 $(awk '$1 == "PPid:" {print $2}' /proc/"$0"/status); while kill -0 "$0" 2>/dev/null; do sleep 0.01; done`, pid).toItsEnd()
			return all(status(0, kill), printed("exited 137", b.Run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "still")))
		})
	},
	Broken: `[ "$1" = inspect ] && { "$BOX" "$@" | sed "s/exited/running/"; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "exec finds a container by its name and by the beginning of its id", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			id := b.Run("ps", "-q").Line()
			return all(printed("1 /tmp a", b.Run("exec", "-w", "/tmp", "-e", "A=a", "still", "sh", "-c", `cd /proc; echo $(ls -d 1) $OLDPWD $A`)),
				printed("box", b.Run("exec", id[:min(len(id), 6)], "hostname")))
		})
	},
	Broken: `[ "$1" = exec ] && { shift $(($# - 1)); exec "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "exec --env-file and -e come after the container's variables, and --privileged gives all capabilities", Since: 4,
	Check: func(b *Box) Seen {
		file := filepath.Join(b.Dir, "variables")
		if err := os.WriteFile(file, []byte("A=1\nB=1\n"), 0o644); err != nil {
			return failed(err)
		}
		return b.withStill([]string{"-d", "--name", "still", "-e", "A=0", "-e", "C=0"}, "sleep 100", func() Seen {
			script := `while read name value; do [ $name = CapEff: ] && admin=$((0x$value >> 21 & 1)); done </proc/self/status; echo $admin $A $B $C`
			return all(printed("0 1 2 0", b.Run("exec", "--env-file", file, "-e", "B=2", "still", "sh", "-c", script)),
				printed("1 0 0", b.Run("exec", "--privileged", "still", "sh", "-c", script).oneLine()),
				refused(b.Run("exec", "--detach-keys", "ctrl", "still", "true")))
		})
	},
	Broken: drop("--privileged | --env-file"),
}, {
	Name: "exec -it ends when its command ends, even if another process holds the terminal", Since: 4,
	Check: func(b *Box) Seen {
		return b.detached("sleep 100", func() Seen {
			c, err := b.StartAtTerminal("", "exec", "-i", "-t", "still", "sh", "-c", "sleep 1000 & echo begun; exit 3")
			if err != nil {
				return failed(err)
			}
			return all(same("begun", c.First), status(3, c.Wait()))
		})
	},
	Broken: `[ "$1" = exec ] && { "$BOX" "$@"; exit 0; }; exec "$BOX" "$@"`,
}, {
	Name: "diff lists what was added, changed and deleted", Since: 4,
	Check: func(b *Box) Seen {
		e := b.script("mkdir /tmp/new; echo x >/tmp/new/file; chmod 700 /usr; rm /bin/ls", "--name", "changed")
		return all(status(0, e), printed("C /bin D /bin/ls C /tmp A /tmp/new A /tmp/new/file C /usr", b.Run("diff", "changed").oneLine()))
	},
	Broken: `[ "$1" = diff ] && { "$BOX" "$@" | grep -v ^D; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "commit makes a layer: whiteouts hide what was deleted", Since: 4,
	Check: func(b *Box) Seen {
		layer := filepath.Join(b.Dir, "layer")
		e := b.script("echo x >/tmp/kept; rm /bin/ls", "--name", "committed")
		return all(status(0, e), status(0, b.Run("commit", "committed", layer)),
			printed("x", b.script("cat /tmp/kept; [ -e /bin/ls ] && echo there", "--layer", layer, "--init").asSuccess()))
	},
	Broken: `[ "$1" = commit ] && exec mkdir "$3"; exec "$BOX" "$@"`,
}, {
	Name: "export is an archive of what the container sees", Since: 4,
	Check: exported,
	Broken: `[ "$1" = export ] && exec tar -cf - -T /dev/null
exec "$BOX" "$@"`,
}, {
	Name: "export -o: a device is refused, a link is followed, - is standard output; --cidfile: a new file alone", Since: 4,
	Check:  outputFiles,
	Broken: `[ "$1" = export ] && { shift 2; exec cp "$BOX" "$2"; }; exec "$BOX" "$@"`,
}, {
	Name: "a volume begins with what the root has there, and outlives its containers", Since: 4,
	Check: func(b *Box) Seen {
		one := b.script("cat /etc/hostname >/dev/null; ls /bin/sh; echo kept >/bin/stagebox", "--rm", "-v", "data:/bin")
		two := b.script("cat /data/stagebox; ls /data/sh", "--rm", "-v", "data:/data")
		return all(printed("/bin/sh", one), printed("kept /data/sh", two.oneLine()), printed("data", b.Run("volume", "ls", "-q")),
			status(0, b.Run("volume", "rm", "data")), printed("", b.Run("volume", "ls", "-q")))
	},
	Broken: drop("-v | data:/bin | data:/data"),
}, {
	Name: "a volume without a name goes with its container, and one in use stays", Since: 4,
	Check: func(b *Box) Seen {
		one := b.script("true", "--name", "one", "-v", "/data", "-v", "named:/named")
		inUse := b.Run("volume", "rm", "named")
		return all(status(0, one), refused(inUse), printed("one", b.Run("rm", "-v", "one")), printed("named", b.Run("volume", "ls", "-q")))
	},
	Broken: `[ "$1" = rm ] && exec "$BOX" rm "$3"; exec "$BOX" "$@"`,
}, {
	Name: "names that are taken or malformed, layers that cannot be, containers that are not there: a sentence", Since: 4,
	Check:  badContainers,
	Broken: zero,
}}

// asSuccess forgets the status of a script that ends with a test.
func (e Ended) asSuccess() Ended {
	e.Status = 0
	return e
}

func layersAsOne(b *Box) Seen {
	low, high := filepath.Join(b.Dir, "lower"), filepath.Join(b.Dir, "upper")
	var err error
	for path, text := range map[string]string{low + "/both": "low", low + "/one": "low", high + "/both": "high"} {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.Chmod(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o644))
	}
	if err != nil {
		return failed(err)
	}
	return printed("high low /bin/sh", b.script("cat /both /one; ls /bin/sh", "--layer", low, "--layer", high).oneLine())
}

// detached looks at a container named still that runs a script, and takes it away.
func (b *Box) detached(script string, look func() Seen) Seen {
	return b.withStill([]string{"-d", "--name", "still"}, script, look)
}

// withStill is detached with other flags of run.
func (b *Box) withStill(flags []string, script string, look func() Seen) Seen {
	real := *b
	real.path, real.ctx = b.place.binary, context.WithoutCancel(b.ctx) // also when all is to end
	defer func() { real.Run("rm", "-f", "still") }()
	if e := b.script(script, flags...); e.Err != nil || e.Status != 0 {
		return status(0, e)
	}
	return look()
}

// exported looks for a new file in the archive, and that an old one is in it and a deleted one is not.
func exported(b *Box) Seen {
	e := b.script("echo x >/tmp/new; rm /bin/ls", "--name", "exported")
	archive := b.Run("export", "exported")
	var names []string
	reader := tar.NewReader(strings.NewReader(archive.Stdout))
	for header, err := reader.Next(); err != io.EOF; header, err = reader.Next() {
		if err != nil {
			return failed(err)
		}
		if slices.Contains([]string{"tmp/new", "bin/ls", "bin/sh"}, header.Name) {
			names = append(names, header.Name)
		}
	}
	return all(status(0, e), same("bin/sh tmp/new", strings.Join(names, " ")))
}

// outputFiles gives links as output files, so that a box which replaces what it is given does no harm.
// It exports twice and compares: the root is its own, since the broken boxes of other rows write to the common one.
func outputFiles(b *Box) Seen {
	root, err := b.ownRoot()
	if err != nil {
		return failed(err)
	}
	null, link, file := filepath.Join(b.Dir, "null"), filepath.Join(b.Dir, "link"), filepath.Join(b.Dir, "file")
	if err := errors.Join(os.Symlink("/dev/null", null), os.Symlink(file, link)); err != nil {
		return failed(err)
	}
	cid := filepath.Join(b.Dir, "cid")
	e := b.Run("run", "--rootfs", root, "--name", "named", "--cidfile", cid, "true")
	id, _ := os.ReadFile(cid)
	written := all(status(0, e), printed(string(id), b.Run("inspect", "-f", "{{.Id}}", "named")), status(125, b.script("true", "--cidfile", cid)))
	refused := b.Run("export", "named", "-o", null)
	to, _ := os.Readlink(null)
	shown := b.Run("export", "named", "-o", "-")
	followed := b.Run("export", "named", "-o", link)
	archive, _ := os.ReadFile(file)
	return all(written, status(1, refused), same("/dev/null", to), status(0, shown), status(0, followed),
		holds(len(archive) > 1024 && string(archive) == shown.Stdout, "the same archive in the file", fmt.Sprint(len(archive), " bytes")))
}

func badContainers(b *Box) Seen {
	if e := b.script("true", "--name", "taken"); e.Status != 0 {
		return status(0, e)
	}
	var parts []Seen
	for _, flags := range []string{"--name taken", "--name a/b", "--name 12", "--name a", "--layer /stagebox-none", "--layer /etc/passwd",
		"--layer " + b.Dir + " --layer " + b.Dir, "-v a/b:/data", "--mount type=volume,src=../x,dst=/data"} {
		parts = append(parts, refused(b.inRoot(strings.Fields(flags), "true")))
	}
	for _, line := range []string{"run --name x /bin/true", "run -d /bin/true", "start none", "start a b -a", "stop none", "kill -s NONSENSE taken", "kill taken", "wait none", "logs none",
		"exec taken true", "rm none", "diff none", "commit none x", "commit taken /proc", "export none",
		"volume rm none", "volume rm ../x", "stop -t x taken", "attach none", "attach taken", "restart none", "create /bin/true"} {
		parts = append(parts, refused(b.Run(strings.Fields(line)...)))
	}
	for _, line := range []string{"inspect none", "inspect -f {{.Nonsense}} taken"} { // Docker's status
		e := b.Run(strings.Fields(line)...)
		parts = append(parts, ended(e.Status == 1 && strings.HasPrefix(e.Stderr, "box: "), `exit 1, standard error "box: …"`, e))
	}
	return all(parts...)
}
