package behave

import (
	"os"
	"path/filepath"
	"strings"
)

// The rows about the build cache. A step that runs differs from one that does not in what it
// makes: the kernel's random uuid, which is another each time.

func init() { table = append(table, cacheRows...) }

// uncached has every build start over.
const uncached = `[ "$1" = build ] && { shift; set -- build --no-cache "$@"; }
exec "$BOX" "$@"`

const newUUID = "RUN cat /proc/sys/kernel/random/uuid >/uuid"

var cacheRows = []Row{{
	Name: "cache: --ulimit and --shm-size are in the key of RUN, as numbers", Since: 7,
	Check: func(b *Box) Seen {
		if e := b.build("FROM tiny", "RUN test $(ulimit -Sn) -ne 100 && test $(ulimit -Sn) -ne 200"); e.Status != 0 {
			return status(0, e)
		}
		build := func(flag string) Ended { return b.Run("build", flag, b.context()) }
		return all(status(0, build("--ulimit=nofile=300")), status(1, build("--ulimit=nofile=100")), status(1, build("--ulimit=nofile=200:400")),
			status(0, build("--shm-size=1m")), refused(build("--ulimit=nofile=5:1")), refused(build("--shm-size=-1")))
	},
	Broken: `for word; do shift; case $word in --ulimit=* | --shm-size=*) ;; *) set -- "$@" "$word" ;; esac; done; exec "$BOX" "$@"`,
}, {
	Name: "cache: a step that has not changed is not run, also when files were written again", Since: 7,
	Check: func(b *Box) Seen {
		first := b.uuid("FROM tiny", "COPY file /file", newUUID)
		return all(status(0, first), printed(first.Line(), b.uuid("FROM tiny", "COPY file /file", newUUID)))
	},
	Broken: uncached,
}, {
	Name: "cache: a file that has changed runs its COPY and all below, and nothing above", Since: 7,
	Check: func(b *Box) Seen {
		first := strings.Fields(b.uuid("FROM tiny", newUUID, "COPY file /file", "RUN cat /proc/sys/kernel/random/uuid >>/uuid").Stdout)
		if err := os.WriteFile(filepath.Join(b.context(), "file"), []byte("changed\n"), 0o644); err != nil {
			return failed(err)
		}
		if e := b.Run("build", "-t", "built", b.context()); e.Status != 0 {
			return status(0, e)
		}
		e := b.Run("run", "--rm", "built", "cat", "/uuid")
		second := strings.Fields(e.Stdout)
		ok := len(first) == 2 && len(second) == 2 && first[0] == second[0] && first[1] != second[1]
		return ended(ok, "the uuid above the same, that below another", e)
	},
	Broken: uncached,
}, {
	Name: "cache: a miss says why: which file changed and in what, and which ARG", Since: 7,
	Check: func(b *Box) Seen {
		lines := []string{"FROM tiny", "ARG V=1.2", "COPY file /", "RUN true $V"}
		if e := b.build(lines...); e.Status != 0 {
			return status(0, e)
		}
		if err := os.Chmod(filepath.Join(b.context(), "file"), 0o755); err != nil {
			return failed(err)
		}
		file := b.Run("build", "--progress", "plain", b.context())
		arg := b.Run("build", "--progress", "plain", "--build-arg", "V=1.3", b.context())
		return all(holds(strings.Contains(file.Stderr, "file changed (mode)"), "file changed (mode)", file.Stderr),
			holds(strings.Contains(arg.Stderr, "ARG V 1.2 → 1.3"), "ARG V 1.2 → 1.3", arg.Stderr))
	},
	Broken: uncached,
}, {
	Name: "cache: a cache mount keeps its files between builds, and out of the image", Since: 7,
	Check: func(b *Box) Seen {
		const count = "RUN --mount=type=cache,target=/kept echo x >>/kept/n; wc -l </kept/n >/uuid"
		first := b.uuid("FROM tiny", count, "RUN ! test -e /kept/n")
		return all(printed("1", first), printed("2", b.uuid("FROM tiny", "ENV A=b", count, "RUN ! test -e /kept/n")))
	},
	Broken: `[ "$1" = build ] && for dir; do :; done && sed -i "s/--mount=[^ ]*/mkdir -p \/kept;/; /test -e/d" "$dir/Dockerfile"
exec "$BOX" "$@"`,
}, {
	Name: "cache: builder prune --all forgets all steps, and the image goes on", Since: 7,
	Check: func(b *Box) Seen {
		first := b.uuid("FROM tiny", newUUID)
		pruned := b.Run("builder", "prune", "--all", "--force")
		again := b.Run("run", "--rm", "built", "cat", "/uuid")
		second := b.uuid("FROM tiny", newUUID)
		return all(status(0, pruned), printed(first.Line(), again), ended(second.Status == 0 && second.Line() != first.Line(), "another uuid", second))
	},
	Broken: `[ "$1" = builder ] && exit 0
exec "$BOX" "$@"`,
}, {
	Name: "image prune and builder prune ask first, unless --force is given", Since: 7,
	Check: func(b *Box) Seen {
		first := b.uuid("FROM tiny", newUUID)
		const question = "Are you sure you want to continue? [y/N] "
		asked := func(words ...string) Seen {
			no := b.Feed("n\n", words...)
			return all(status(0, no), holds(strings.HasSuffix(no.Stdout, question), question, no.Stdout))
		}
		kept := all(asked("builder", "prune", "--all"), asked("image", "prune", "--all"), printed(first.Line(), b.uuid("FROM tiny", newUUID)))
		yes := b.Feed("y\n", "builder", "prune", "--all")
		again := b.uuid("FROM tiny", newUUID)
		return all(kept, status(0, yes), ended(again.Status == 0 && again.Line() != first.Line(), "another uuid", again))
	},
	Broken: `[ "$2" = prune ] && exec "$BOX" "$@" --force; exec "$BOX" "$@"`,
}}

// uuid builds, and shows what its steps have written.
func (b *Box) uuid(lines ...string) Ended {
	if e := b.build(lines...); e.Status != 0 || e.Err != nil {
		return e
	}
	return b.Run("run", "--rm", "built", "cat", "/uuid")
}
