package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"stagebox/lessons/boxtest"
)

var someNames = []string{"a", "b", "c", "d"}

func somePath(r *rand.Rand, parts int) string {
	words := make([]string, 1+r.IntN(parts))
	for i := range words {
		words[i] = someNames[r.IntN(len(someNames))]
	}
	return filepath.Join(words...)
}

// someOperations are a few hundred changes of files, as a shell script that runs in any
// directory: what cannot be done is left out.
func someOperations(r *rand.Rand) string {
	var script strings.Builder
	name := func() string { return "w/" + somePath(r, 3) }
	for i := range 300 {
		one, two := name(), name()
		operations := []string{
			fmt.Sprintf("mkdir %s; mkdir -p %s", one, two), fmt.Sprintf("[ -d %s -o -p %[1]s ] || echo %d >%[1]s", one, i), fmt.Sprintf("[ -f %s ] && echo %d >>%[1]s", one, i),
			"rm -rf " + one, fmt.Sprintf("rm -rf %s; mkdir %[1]s", one), "rmdir " + one, fmt.Sprintf("chmod %o %s", 0o700+r.IntN(64), one),
			fmt.Sprintf("[ -d %s ] || ln -sfn %s %[1]s", one, filepath.Base(two)), fmt.Sprintf("[ -f %s ] && ln %[1]s %s", one, two), "mknod " + one + " p",
			fmt.Sprintf("mv -T %s %s", one, two), fmt.Sprintf("[ -f %s ] && touch %[1]s", one), fmt.Sprintf("[ -d %s ] || cp -r --remove-destination %[1]s %s", one, two),
		}
		if os.Geteuid() == 0 {
			operations = append(operations, fmt.Sprintf("chown -h %d %s", r.IntN(3), one))
		}
		fmt.Fprintln(&script, operations[r.IntN(len(operations))])
	}
	return "set +e; exec 2>/dev/null\n" + script.String() + "true\n"
}

// told by the rules of docker diff, of two plain directories.
func plainChanges(t *testing.T, before, after string) (list []string) {
	kept := map[string]bool{} // directories in which something has changed
	add := func(kind, path string) {
		list = append(list, kind+" "+path)
		for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
			kept[dir] = true
		}
	}
	each := func(root string, visit func(path string, st *unix.Stat_t)) {
		require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err == nil {
				err = unix.Lstat(path, &st)
			}
			if path != root && err == nil {
				visit(strings.TrimPrefix(path, root), &st)
			}
			return err
		}))
	}
	each(after, func(path string, now *unix.Stat_t) {
		var old unix.Stat_t
		isDir := now.Mode&unix.S_IFMT == unix.S_IFDIR
		switch {
		case lstatBelow(before, path, &old) != nil:
			add("A", path)
		case now.Mode != old.Mode || now.Uid != old.Uid || now.Gid != old.Gid || !isDir && (now.Size != old.Size || now.Mtim != old.Mtim):
			add("C", path)
		}
	})
	each(before, func(path string, _ *unix.Stat_t) {
		var st unix.Stat_t
		gone := lstatBelow(after, path, &st) != nil
		if gone && lstatBelow(after, filepath.Dir(path), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			add("D", path)
		}
	})
	for dir := range kept {
		if !slices.Contains(list, "C "+dir) && !slices.Contains(list, "A "+dir) {
			list = append(list, "C "+dir)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return list
}

// lstatBelow is lstat of a path that leads over no link: what is behind a link that has become
// a directory was not in that directory before.
func lstatBelow(root, path string, st *unix.Stat_t) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, "."+path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fstat(fd, st)
}

// TestDiffAndExport does the same to a container and to a plain copy of a layer of its root.
func TestDiffAndExport(t *testing.T) {
	boxtest.Slow(t)
	tools(t, "tar", "cp")
	l := newLife(t)
	dir, r, walks := filepath.Dir(l.store), boxtest.Random(t), 1
	if boxtest.Long() {
		walks = 100
	}
	for i := range walks {
		before, after, layer, name := fmt.Sprintf("%s/%d.before", dir, i), fmt.Sprintf("%s/%d.after", dir, i), fmt.Sprintf("%s/%d.layer", dir, i), fmt.Sprint("c", i)
		// Two names of one file in a layer are two files once one of them was written to.
		sh(t, dir, "mkdir -p made/w; cd made\n"+someOperations(r)+"cp -r --preserve=mode,ownership . "+before+"; cd ..; rm -r made; find "+before+" -exec touch -h -d @1000000000 {} +")
		sh(t, dir, "cp -a "+before+" "+after)
		script := someOperations(r)
		sh(t, after, script)
		l.box("run", "--name", name, "--rootfs", l.tiny, "--layer", before, "sh", "-c", script)
		require.Equal(t, strings.Join(plainChanges(t, before, after), "\n"), l.box("diff", name), "%s", script)
		require.Equal(t, l.plain(after), l.plain(l.export(name)))

		l.box("commit", name, layer)
		l.box("run", "--name", name+"again", "--rootfs", l.tiny, "--layer", before, "--layer", layer, "true")
		require.Empty(t, l.box("diff", name+"again"))
		require.Equal(t, l.plain(after), l.plain(l.export(name+"again")), "the layer makes the same of the root")
	}
}

// export unpacks what box export writes.
func (l *life) export(name string) (dir string) {
	dir = l.T.TempDir()
	var errs bytes.Buffer
	export := exec.Command("sh", "-c", `"$0" export "$1" | tar -xpf - -C "$2" w`, box, name, dir)
	export.Env, export.Stderr = append(os.Environ(), "BOX_ROOT="+l.store), &errs
	require.NoError(l, export.Run(), errs.String())
	return dir
}

// plain is a tree without what differs between two runs, its times and the number of names.
func (l *life) plain(dir string) string {
	return sh(l.T, dir+"/w", `export LC_ALL=C; find . -printf '%P %y %m %U:%G %l\n' | sort; find . -type f -exec md5sum {} + | sort`)
}

// TestEndWaitsForACommit kills a container that is to leave nothing while it is looked at.
func TestEndWaitsForACommit(t *testing.T) {
	l := newLife(t)
	l.box("run", "-d", "--rm", "--name", "one", "--rootfs", l.tiny, "sh", "-c", "echo x >/file; sleep "+l.mark)
	r, err := Store{Root: l.store}.find("one")
	require.NoError(t, err)
	file := r.path("upper", "file")
	require.Eventually(t, func() bool { return exists(file) }, time.Minute, time.Millisecond)
	require.NoError(t, r.whileFrozen(func() error {
		var st unix.Stat_t
		require.NoError(t, unix.Stat(r.path("lock"), &st))
		waits := regexp.MustCompile(fmt.Sprintf(`-> OFDLCK .*:%d `, st.Ino))
		require.NoError(t, r.signal(unix.SIGKILL))
		require.Eventually(t, func() bool { return unix.Kill(r.State.PID, 0) == unix.ESRCH }, time.Minute, time.Millisecond)
		require.Eventually(t, func() bool { return waits.MatchString(contentOf(t, "/proc/locks")) || !exists(file) }, time.Minute, time.Millisecond)
		require.FileExists(t, file)
		return nil
	}))
	require.Eventually(t, func() bool { // also under the name that a directory has while it is removed
		left, err := os.ReadDir(filepath.Join(l.store, "containers"))
		return err == nil && len(left) == 0
	}, time.Minute, time.Millisecond)
	require.ErrorIs(t, r.whileFrozen(func() error { return nil }), fs.ErrNotExist)
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}
