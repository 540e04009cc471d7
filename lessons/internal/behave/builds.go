package behave

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The rows about images that are built from a Dockerfile. All begin with the image tiny.

func init() { table = append(table, buildRows...) }

var buildRows = []Row{{
	Name: "build: steps that change files are layers, and the last is what run begins with", Since: 6,
	Check: func(b *Box) Seen {
		return b.buildAndRun("text configured", "", "FROM tiny", "WORKDIR /w", "COPY file .", "RUN echo configured >more", `CMD ["sh", "-c", "echo $(cat file more)"]`)
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "/^COPY/d" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: a stage takes files of an earlier one, and nothing else of it", Since: 6,
	Check: func(b *Box) Seen {
		return b.buildAndRun("made", "", "FROM tiny AS maker", "RUN echo made >/result; echo junk >/junk", "FROM tiny", "COPY --from=maker /result /", `CMD ["sh", "-c", "cat /result; ! cat /junk 2>/dev/null"]`)
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "3s/.*/FROM maker/" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: ENTRYPOINT and CMD combine as in Docker's table", Since: 6,
	Check: func(b *Box) Seen {
		return b.buildAndRun("entry given", "given", "FROM tiny", `ENTRYPOINT ["echo", "entry"]`, `CMD ["usual"]`)
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "/^ENTRYPOINT/d" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: a step that fails is shown with its line and status: exit 1, nothing tagged, no container left", Since: 6,
	Check: func(b *Box) Seen {
		e := b.build("FROM tiny", "RUN exit 3")
		where := strings.Contains(e.Stderr, "2 | RUN exit 3\n") && strings.Contains(e.Stderr, "^^^") && strings.Contains(e.Stderr, "exit status 3")
		images := b.Run("images")
		untagged := ended(images.Status == 0 && !strings.Contains(images.Stdout, "built"), "no image built", images)
		return all(status(1, e), holds(where, "the line, a caret and the status", e.Stderr), printed("", b.Run("ps", "-a", "-q")), untagged)
	},
	Broken: zero,
}, {
	Name: "build: a mistake in the Dockerfile is shown with a caret, and what was meant", Since: 6,
	Check: func(b *Box) Seen {
		e := b.build("FROM tiny", "RUNN true")
		return all(status(1, e), holds(strings.Contains(e.Stderr, "did you mean RUN?\n  2 | RUNN true\n    | ^^^^\n"), "the line with a caret", e.Stderr))
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/RUNN/RUN/" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: .dockerignore hides files, and no link leads out of the context", Since: 6,
	Check: func(b *Box) Seen {
		if e := b.build("FROM tiny"); e.Status != 0 {
			return status(0, e)
		}
		err := os.Symlink("/etc/passwd", filepath.Join(b.Dir, "context", "link"))
		if err == nil {
			err = os.WriteFile(filepath.Join(b.Dir, "context", ".dockerignore"), []byte("file\n"), 0o644)
		}
		if err != nil {
			return failed(err)
		}
		return all(status(1, b.build("FROM tiny", "COPY file /")), status(1, b.build("FROM tiny", "COPY link /")))
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/file/./; s/link/./" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: COPY --chown takes a number for an id, also where a user has it for a name, and --iidfile gets the image's id", Since: 6, For: Root,
	Check: func(b *Box) Seen {
		owner := b.buildAndRun("4321 4322", "", "FROM tiny", "RUN echo 4321:x:0:0::/: >>/etc/passwd; echo 4322:x:0: >>/etc/group", "COPY --chown=4321:4322 file /", `CMD ["sh", "-c", "set -- $(ls -ln /file); echo $3 $4"]`)
		file := filepath.Join(b.Dir, "id")
		build := b.Run("build", "-q", "--iidfile", file, filepath.Join(b.Dir, "context"))
		return all(owner, status(0, build), same(build.Line(), contentOrNone(file)), status(1, b.build("FROM tiny", "COPY --chown=4294967296 file /")),
			status(1, b.build("FROM tiny", "COPY --chown=0:4294967296 file /")))
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/--chown=4321:4322/--chown=root/" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build: a secret is there for its step alone", Since: 6,
	Check: func(b *Box) Seen {
		e := b.build("FROM tiny", "RUN --mount=type=secret,id=s,target=/s test $(cat /s) = hidden", "RUN ! test -e /s")
		return status(0, e)
	},
	Broken: drop("--secret | id=s,src=*"),
}, {
	Name: "build: a step has an empty standard input, whatever the build's own is", Since: 6,
	Check: func(b *Box) Seen {
		first := b.build("FROM tiny", "ARG A=1", "RUN cat >/read", `CMD ["cat", "/read"]`)
		again := b.Feed("typed", "build", "-t", "built", "--build-arg", "A=2", b.context())
		return all(status(0, first), status(0, again), printed("", b.Run("run", "--rm", "built")))
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/RUN cat/RUN echo typed/" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build --check tells what is doubtful, and builds nothing", Since: 6,
	Check: func(b *Box) Seen {
		e := b.build("FROM tiny", "MAINTAINER me", "CMD a", "CMD b")
		checked := b.Run("build", "--check", b.context())
		return all(status(0, e), holds(strings.Contains(checked.Stdout, "MaintainerDeprecated") && strings.Contains(checked.Stdout, "MultipleInstructionsDisallowed"), "two warnings", checked.String()))
	},
	Broken: `[ "$2" = --check ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "HEALTHCHECK: starting, then unhealthy, then healthy, in ps and inspect; --health-cmd and --no-healthcheck win", Since: 6,
	Check: (*Box).checkedHealth,
	Broken: `[ "$1" = run ] && { shift; set -- run --no-healthcheck "$@"; }
exec "$BOX" "$@"`,
}, {
	Name: "build -o DIR: files of the target alone, the caller's own; others stay, a link leads nowhere, and no image is made", Since: 6,
	Check:  (*Box).builtFiles,
	Broken: drop("-o | */out | type=local,*"),
}, {
	Name: "build -o -: a tar archive of the files, with the owners of the layers and no whiteouts", Since: 6,
	Check: (*Box).builtTar,
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/--chown=7:8//" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "build -o type=oci: an archive that holds the image and its name, and none in the store", Since: 6,
	Check:  (*Box).builtArchive,
	Broken: `[ "$2" = -o ] && "$BOX" build -q -t built "$6" >/dev/null; exec "$BOX" "$@"`,
}, {
	Name: "build -o: what cannot be written is refused before anything is built", Since: 6,
	Check: func(b *Box) Seen {
		if e := b.build("FROM tiny"); e.Status != 0 {
			return status(0, e)
		}
		var seen []Seen
		for spec, says := range map[string]string{"type=zip,dest=x": "accepted: cacheonly, docker, image, local, oci, tar", "type=tar,dst=x": "type=tar takes dest", "type=local": "add dest=DIR",
			b.context() + "/file": "is not a directory", "type=tar,dest=" + b.context(): "it is a directory"} {
			e := b.Run("build", "-o", spec, b.context())
			seen = append(seen, status(1, e), holds(strings.HasPrefix(e.Stderr, "box: --output") && strings.Contains(e.Stderr, spec) && strings.Contains(e.Stderr, says), says, e.Stderr))
		}
		return all(seen...)
	},
	Broken: drop("-o | type=* | */file"),
}, {
	Name: "build: ADD of an archive takes the modes of its directories, also those that keep an ordinary user out", Since: 6,
	Check: (*Box).shutDirectory,
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/ADD/COPY/" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}}

func (b *Box) context() string { return filepath.Join(b.Dir, "context") }

// build builds the image "built" of a Dockerfile with these lines, beside a file and a secret.
func (b *Box) build(lines ...string) Ended {
	for name, text := range map[string]string{"context/Dockerfile": strings.Join(lines, "\n") + "\n", "context/file": "text\n", "secret": "hidden\n"} {
		path := filepath.Join(b.Dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o777)
		if err == nil {
			err = os.Chmod(filepath.Dir(path), 0o777)
		}
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			return Ended{Err: fmt.Errorf("make the context: %w", err)}
		}
	}
	args := []string{"build", "-t", "built"}
	if strings.Contains(strings.Join(lines, ""), "type=secret") {
		args = append(args, "--secret", "id=s,src="+filepath.Join(b.Dir, "secret"))
	}
	return b.Run(append(args, b.context())...)
}

// buildAndRun builds, runs what was built, with words if there are any, and compares.
func (b *Box) buildAndRun(expected, words string, lines ...string) Seen {
	if e := b.build(lines...); e.Status != 0 {
		return status(0, e)
	}
	return printed(expected, b.Run(append([]string{"run", "--rm", "built"}, strings.Fields(words)...)...).oneLine())
}

// checkedHealth runs containers of an image that has a health check.
func (b *Box) checkedHealth() Seen {
	built := b.build("FROM tiny", "HEALTHCHECK --interval=50ms --retries=2 --start-period=1ms CMD test -e /works || ! echo it does not", `CMD ["sleep", "1000"]`)
	if built.Status != 0 {
		return status(0, built)
	}
	start := all(status(0, b.Run("run", "-d", "--name", "one", "built")), status(0, b.Run("run", "-d", "--name", "own", "--health-cmd", `["test", "-e", "/works"]`, "built")),
		status(0, b.Run("run", "-d", "--name", "none", "--no-healthcheck", "built")))
	defer b.Run("rm", "-f", "one", "own", "none")
	if !start.Holds {
		return start
	}
	seen := all(b.becomes("one", "unhealthy"), printed("it does not 1", b.Run("inspect", "-f", "{{with index .State.Health.Log 0}}{{.Output}}{{.ExitCode}}{{end}}", "one").oneLine()),
		printed("none", b.Run("ps", "--filter", "health=none", "--format", "{{.Names}}")), b.becomes("own", "unhealthy"))
	status := b.Run("ps", "--filter", "name=^one$", "--format", "{{.Status}}")
	return all(seen, ended(strings.HasSuffix(status.Line(), " (unhealthy)"), "the health in the list", status), printed("", b.Run("exec", "one", "touch", "/works")),
		refused(b.Run("run", "--health-interval", "-1s", "built")), refused(b.Run("run", "--health-cmd", "true", "--no-healthcheck", "built")),
		b.becomes("one", "healthy"), printed("", b.Run("exec", "own", "touch", "/works")), b.becomes("own", "healthy"),
		printed("0", b.Run("inspect", "-f", "{{.State.Health.FailingStreak}}", "one")))
}

// becomes waits until a container's health has a word.
func (b *Box) becomes(name, word string) Seen {
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		now := b.Run("inspect", "-f", "{{with .State.Health}}{{.Status}}{{end}}", name)
		if now.Line() == word || now.Status != 0 || now.Line() == "" || time.Now().After(end) {
			return printed(word, now)
		}
	}
}

// builtFiles builds into a directory in which there is something already.
func (b *Box) builtFiles() Seen {
	if e := b.build("FROM tiny AS maker", "RUN mkdir -m 750 /out /out/link && echo new >/out/file && chmod 640 /out/file && echo in >/out/link/file", "FROM scratch", "COPY --from=maker --chown=7:8 /out /"); e.Status != 0 {
		return status(0, e)
	}
	out := filepath.Join(b.Dir, "out")
	for _, dir := range []string{"outside", "out", "out/own"} {
		if err := os.Mkdir(filepath.Join(b.Dir, dir), 0o777); err != nil {
			return failed(err)
		}
	}
	err := errors.Join(os.WriteFile(out+"/file", []byte("old"), 0o644), os.WriteFile(out+"/own/file", []byte("own"), 0o644), os.Symlink("../outside", out+"/link"),
		os.Chown(out, b.uid, b.gid))
	if err != nil {
		return failed(err)
	}
	before := b.Run("images", "-a", "-q")
	build := b.Run("build", "-o", out, b.context())
	var st syscall.Stat_t
	err = syscall.Stat(out+"/file", &st)
	outside, errOutside := os.ReadDir(filepath.Join(b.Dir, "outside"))
	if err = errors.Join(err, errOutside); err != nil {
		return failed(err)
	}
	owner, ownerOf := fmt.Sprintf("%d:%d 640", b.uid, b.gid), fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, st.Mode&0o7777)
	again := b.Run("build", "-q", "-o", "type=local,dest="+out, b.context())
	return all(status(0, build), printed("", build), holds(strings.Contains(build.Stderr, "wrote "+out+" (local): 2 files, 7 B"), "what was written where", build.Stderr),
		same("newownin", contentOrNone(out+"/file")+contentOrNone(out+"/own/file")+contentOrNone(out+"/link/file")), same(owner, ownerOf), same("0", fmt.Sprint(len(outside))),
		status(0, again), printed("", again), printed(before.Line(), b.Run("images", "-a", "-q")))
}

// builtTar builds into an archive, and reads that.
func (b *Box) builtTar() Seen {
	if e := b.build("FROM tiny", "RUN echo a >/a; echo gone >/gone", "RUN rm /gone", "COPY --chown=7:8 file /b"); e.Status != 0 {
		return status(0, e)
	}
	build := b.Run("build", "-q", "-o", "-", b.context())
	if build.Status != 0 {
		return status(0, build)
	}
	list, err := tarList(build.Stdout)
	list = slices.DeleteFunc(list, func(line string) bool {
		return !strings.HasPrefix(line, "a ") && !strings.HasPrefix(line, "b ") && !strings.Contains(line, "gone")
	})
	return all(holds(err == nil, "an archive", fmt.Sprint(err)), same("a 0:0 2 mode 644, b 7:8 5 mode 644", strings.Join(list, ", ")))
}

// tarList lists the files of an archive: name, owner, size, mode.
func tarList(archive string) (list []string, err error) {
	for r := tar.NewReader(strings.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, fmt.Sprintf("%s %d:%d %d mode %o", h.Name, h.Uid, h.Gid, h.Size, h.Mode))
	}
}

// shutDirectory adds an archive of a directory without any permission, and a file in it.
func (b *Box) shutDirectory() Seen {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := errors.Join(w.WriteHeader(&tar.Header{Name: "shut/", Typeflag: tar.TypeDir, Uid: 7, Gid: 8}), w.WriteHeader(&tar.Header{Name: "shut/file", Typeflag: tar.TypeReg}), w.Close())
	if e := b.build("FROM scratch", "ADD file /"); e.Status != 0 {
		return status(0, e)
	}
	err = errors.Join(err, os.WriteFile(b.context()+"/file", archive.Bytes(), 0o644))
	build := b.Run("build", "-q", "-o", "-", b.context())
	list, errList := tarList(build.Stdout)
	return all(status(0, build), holds(errors.Join(err, errList) == nil, "an archive", fmt.Sprint(err, errList)), same("shut/ 7:8 0 mode 0, shut/file 0:0 0 mode 0", strings.Join(list, ", ")))
}

// builtArchive builds into an image archive, and loads that.
func (b *Box) builtArchive() Seen {
	if e := b.build("FROM tiny", "COPY file /made", `CMD ["cat", "/made"]`); e.Status != 0 {
		return status(0, e)
	}
	remove := b.Run("rmi", "built")
	file := filepath.Join(b.Dir, "image.tar")
	build := b.Run("build", "-o", "type=oci,dest="+file, "-t", "built", b.context())
	gone := b.Run("run", "--pull", "never", "--rm", "built")
	load := b.Run("load", "-i", file)
	return all(status(0, remove), status(0, build), refused(gone), status(0, load), printed("text", b.Run("run", "--rm", "built")), printed(build.Line(), b.Run("images", "-q", "--no-trunc", "built")))
}
