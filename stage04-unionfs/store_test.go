package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
)

// life is a store of the test's own, with a root for its containers. The mark is a number of
// seconds that nobody else sleeps.
type life struct {
	*testing.T
	store, tiny, mark string
	groups            string // of ownGroups
}

func newLife(t *testing.T) *life {
	dir := t.TempDir()
	l := &life{T: t, store: filepath.Join(dir, "store"), tiny: newTiny(t), mark: fmt.Sprint(int64(1e10) + rand.Int64N(9e10))}
	t.Cleanup(l.removeAll) // an ordinary user cannot remove what the kernel has made in work/
	return l
}

// newTiny makes a root of the host's programs, for every user.
func newTiny(t testing.TB) string {
	t.Helper()
	base, err := os.MkdirTemp("", "box-root")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(base)) })
	require.NoError(t, os.Chmod(base, 0o755))
	dir := filepath.Join(base, "tiny")
	out, stderr, status := run(t, "rootfs", dir)
	require.Zero(t, status, stderr)
	require.Regexp(t, `tiny: \d+ programs of this host and \d+ other files`, out)
	return dir
}

func (l *life) removeAll() {
	if all := strings.Fields(l.box("ps", "-aq")); len(all) > 0 {
		l.box(append([]string{"rm", "-f", "-v"}, all...)...)
	}
}

func (l *life) command(args ...string) *exec.Cmd {
	cmd := exec.Command(box, args...)
	cmd.Env = append(os.Environ(), "BOX_ROOT="+l.store)
	return cmd
}

// box runs a command that has to succeed.
func (l *life) box(args ...string) string {
	l.Helper()
	var out, errs bytes.Buffer
	cmd := l.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(l, cmd.Run(), "%v: %s", args, errs.String())
	require.Empty(l, errs.String(), args)
	return strings.TrimSuffix(out.String(), "\n")
}

// processes are those whose command line has a word.
func processes(t *testing.T, word string) (pids []string) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(word)) {
			pids = append(pids, strings.Split(file, "/")[2])
		}
	}
	return pids
}

// ownGroups makes a cgroup in every tree, and returns the flags of run that put a container
// there: what is below it are the test's own groups. An ordinary user has none.
func (l *life) ownGroups() (flags []string) {
	if os.Geteuid() != 0 {
		return nil
	}
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(l, err)
	if len(all) == 0 {
		return nil
	}
	l.groups = fmt.Sprintf("box-test-%d-%s", os.Getpid(), l.mark)
	for _, tree := range all {
		dir := filepath.Join(tree.Mount, l.groups)
		require.NoError(l, os.Mkdir(dir, 0o755))
		l.Cleanup(func() { require.NoError(l, removeGroup(dir)) })
	}
	return []string{"--cgroup-parent", l.groups}
}

// groupsLeft are the groups that containers have in ownGroups.
func (l *life) groupsLeft() (left []string) {
	all, err := cgroupfs.Trees(os.Getpid())
	require.NoError(l, err)
	for _, tree := range all {
		groups, err := filepath.Glob(filepath.Join(tree.Mount, l.groups, "box-*"))
		require.NoError(l, err)
		left = append(left, groups...)
	}
	return left
}

// mounts are those of the host that have to do with the test: at its files, or of them.
func (l *life) mounts() (lines []string) {
	for line := range strings.Lines(contentOf(l.T, "/proc/self/mountinfo")) {
		if strings.Contains(line, filepath.Dir(l.store)) || strings.Contains(line, filepath.Dir(l.tiny)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// nothingLeft removes all containers, and looks for what is there all the same.
func (l *life) nothingLeft(flags []string) {
	l.removeAll()
	sweep := slices.Concat([]string{"run", "--rm", "--rootfs", l.tiny}, flags, []string{"true"})
	l.box(sweep...)
	for _, dir := range []string{"containers", "running", "volumes"} {
		left, err := os.ReadDir(filepath.Join(l.store, dir))
		require.NoError(l, err)
		require.Empty(l, left, dir)
	}
	l.comesToNothing("processes", func() []string { return processes(l.T, l.mark) })
	l.comesToNothing("monitors", func() []string { return processes(l.T, l.store) })
	l.comesToNothing("mounts", l.mounts)
	if l.groups != "" {
		l.comesToNothing("cgroups", func() []string {
			left := l.groupsLeft()
			if len(left) > 0 { // one that was never locked is spared for ten seconds
				l.box(sweep...)
			}
			return left
		})
	}
}

// comesToNothing waits until what ends by itself has ended: a process that was killed, a
// moment later.
func (l *life) comesToNothing(what string, list func() []string) {
	require.Eventually(l, func() bool { return len(list()) == 0 }, time.Minute, 10*time.Millisecond, what)
}

func contentOf(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// killer runs commands, and kills most of them at some instant.
type killer struct {
	*life
	*rand.Rand
	flags  []string        // of run
	name   string          // of its containers begins so
	kept   map[string]bool // containers that were acknowledged
	lasts  map[string]time.Duration
	killed int
}

// try runs a command, and tells whether it was acknowledged. The first of its kind is timed;
// of the others, three in four are killed, or with monitor the one that it has started.
func (k *killer) try(kind string, args ...string) bool {
	cmd := k.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	require.NoError(k, cmd.Start())
	if lasts := k.lasts[kind]; lasts != 0 && k.IntN(4) > 0 {
		time.Sleep(time.Duration(k.Int64N(int64(lasts + lasts/4))))
		victim := cmd.Process.Pid
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", victim))
		if fields := strings.Fields(string(children)); len(fields) > 0 && k.IntN(2) == 0 {
			fmt.Sscan(fields[0], &victim)
		}
		if unix.Kill(victim, unix.SIGKILL) == nil {
			k.killed++
		}
	}
	err := cmd.Wait()
	if k.lasts[kind] == 0 {
		k.lasts[kind] = time.Since(begun)
		require.NoError(k, err, "%v: %s", args, out.String())
	}
	require.NotContains(k, out.String(), "panic")
	return err == nil
}

// round does something with one container.
func (k *killer) round(i int) {
	some := ""
	if names := slices.Sorted(maps.Keys(k.kept)); len(names) > 0 {
		some = names[k.IntN(len(names))]
	}
	fresh, script := fmt.Sprintf("%s%d", k.name, i), "[ -s /file ] || echo data >/file; exec sleep "
	switch n := k.IntN(7); {
	case n == 0 || some == "":
		k.kept[fresh] = k.run("run", script+"0", "--name", fresh, "-v", "/anonymous")
	case n == 1:
		k.kept[fresh] = k.run("run -d", script+k.mark, "-d", "--name", fresh) && k.hasWritten(fresh)
	case n == 2:
		k.run("run --rm", script+"0", "--rm", "-v", "/anonymous")
	case n == 3:
		k.try("stop", "stop", "-t", "0", some)
		k.box("stop", "-t", "0", some)
		k.try("start", "start", some)
	case n == 4:
		k.commit(some, fresh)
	case n == 5:
		if k.run("create", script+"0", "--name", fresh) { // then it can be started
			k.box("start", "-a", fresh)
			k.kept[fresh] = true
		}
	default:
		if k.try("rm", "rm", "-f", "-v", some) {
			require.Error(k, k.command("inspect", some).Run(), "removed, and still there")
		}
		delete(k.kept, some)
	}
	if !k.kept[fresh] {
		delete(k.kept, fresh) // it may be there or not
	}
}

// run tries to run a shell script in a container.
func (k *killer) run(kind, script string, flags ...string) bool {
	return k.try(kind, slices.Concat(strings.Fields(kind)[:1], []string{"--rootfs", k.tiny}, k.flags, flags, []string{"sh", "-c", script})...)
}

// hasWritten waits for a container's file, which one whose monitor was killed may never write.
func (k *killer) hasWritten(name string) bool {
	upper := k.box("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name)
	for {
		status := k.box("inspect", "-f", "{{.State.Status}}", name)
		if file, err := os.ReadFile(upper + "/file"); err == nil && len(file) > 0 {
			return true
		} else if status != "running" {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// commit makes a layer: all of it, or nothing.
func (k *killer) commit(name, to string) {
	layer := filepath.Join(filepath.Dir(k.store), to)
	done := k.try("commit", "commit", name, layer)
	text, err := os.ReadFile(layer + "/file")
	if _, there := os.Lstat(layer); done || there == nil {
		require.NoError(k, err)
		require.Equal(k, "data\n", string(text))
	}
}

// TestCreatedWithRmWaits: box create frees a container's lock by removing its file, and a box that
// sweeps may have listed the file before and make it again. --rm is then not yet a reason to remove
// the container.
func TestCreatedWithRmWaits(t *testing.T) {
	l := newLife(t)
	id := strings.TrimSpace(l.box("create", "--rm", "--name", "waits", "--rootfs", l.tiny, "echo", "ran"))
	require.NoError(t, os.WriteFile(filepath.Join(l.store, "running", id), nil, 0o600))
	require.Equal(t, "waits", l.box("ps", "-a", "--format", "{{.Names}}"))
	require.NoFileExists(t, filepath.Join(l.store, "running", id), "it was swept")
	require.Equal(t, "ran", l.box("start", "-a", "waits"))
	require.Empty(t, l.box("ps", "-aq"))
}

// TestKilledAtAnyInstant kills box and its monitors sixty times, or five hundred in the long
// form. What was acknowledged is there afterwards, and the next commands clear away what was
// begun.
func TestKilledAtAnyInstant(t *testing.T) {
	boxtest.Slow(t)
	l, r := newLife(t), boxtest.Random(t)
	flags, kills, killers := l.ownGroups(), 30, []*killer{}
	if boxtest.Long() {
		kills = 250
	}
	var all sync.WaitGroup
	for _, name := range []string{"x", "y"} { // no digit of an id, which would be found by its prefix
		k := &killer{life: l, Rand: rand.New(rand.NewPCG(r.Uint64(), r.Uint64())), flags: flags, name: name, kept: map[string]bool{}, lasts: map[string]time.Duration{}}
		killers = append(killers, k)
		all.Go(func() {
			for i := 0; k.killed < kills && !t.Failed(); i++ {
				k.round(i)
			}
		})
	}
	all.Wait()
	names, killed := l.box("ps", "-a"), 0
	for _, k := range killers {
		killed += k.killed
		for name := range k.kept {
			require.Regexp(t, `\s`+name+`\n`, names+"\n")
			require.Contains(t, l.box("diff", name), "A /file")
		}
	}
	t.Logf("killed %d times", killed)
	l.nothingLeft(flags)
	layers, err := filepath.Glob(filepath.Dir(l.store) + "/.*")
	require.NoError(t, err)
	require.Empty(t, layers, "half a layer")
}

// Root in a container can leave setuid programs in its files: nobody outside may come to them
// (CVE-2021-41091), nor read what a container was given in its environment.
func TestStoreIsItsOwnersAlone(t *testing.T) {
	l := newLife(t)
	require.NoError(t, os.Mkdir(l.store, 0o755)) // where somebody else chose its mode
	l.box("run", "--name", "kept", "--rootfs", l.tiny, "-v", "/data", "true")
	for _, dir := range []string{"containers", "containers/kept", "running", "volumes"} {
		info, err := os.Stat(filepath.Join(l.store, dir) + "/")
		require.NoError(t, err)
		require.Zero(t, info.Mode()&0o077, dir)
	}
}

// What a detached container prints to a terminal is in its log, all of it.
func TestALogOfATerminal(t *testing.T) {
	boxtest.Slow(t)
	l := newLife(t)
	l.box("run", "-d", "-t", "--name", "shown", "--rootfs", l.tiny, "sh", "-c", "sleep 0.1; tty; seq 20000; echo end")
	require.Equal(t, "0", l.box("wait", "shown"))
	lines := strings.Split(l.box("logs", "shown"), "\r\n")
	require.Equal(t, "/dev/pts/0", lines[0])
	require.Equal(t, []string{"20000", "end\r"}, lines[len(lines)-2:])
}

// TestFiftyAtOnce has fifty commands at once on three containers, and wants an answer of each.
func TestFiftyAtOnce(t *testing.T) {
	boxtest.Slow(t)
	l := newLife(t)
	run := slices.Concat([]string{"run", "-d", "--rootfs", l.tiny}, l.ownGroups(), []string{"--name"})
	for _, name := range []string{"xx", "yy", "zz"} {
		l.box(append(slices.Clone(run), name, "sleep", l.mark)...)
	}
	if l.groups != "" {
		require.NotEmpty(t, l.groupsLeft(), "the control of what nothingLeft looks for")
	}
	var all, quick sync.WaitGroup // those that wait for a container end when it does
	for i := range 50 {
		verb := [][]string{{"start"}, {"stop"}, {"rm", "-f"}, {"inspect"}, {"diff"}, {"kill"}, {"wait"}, {"start"}, {"rm"}, run}[i%10]
		group := &quick
		if verb[0] == "wait" || verb[0] == "stop" {
			group = &all
		}
		group.Go(func() {
			args := append(slices.Clone(verb), []string{"xx", "yy", "zz"}[i%3])
			if verb[0] == "run" {
				args = append(args, "sleep", l.mark)
			}
			cmd := l.command(args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || !regexp.MustCompile(`(?m)^box: [^{]{10}`).Match(out.Bytes())) {
				t.Errorf("%v: %v, %s", args, err, out.String())
			}
		})
	}
	quick.Wait()
	done := make(chan bool)
	go func() { all.Wait(); close(done) }()
	for ended := false; !ended; {
		l.command("rm", "-f", "xx", "yy", "zz").Run() // so that those who wait see an end
		select {
		case <-done:
			ended = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	l.nothingLeft(run[4 : len(run)-1])
}

// refusedWhenFull fills a file system and runs a command, which has to fail for want of space.
// What an earlier one has removed is free only when its last process has ended, a moment
// later: then the command succeeds, and another try is made. Each leaves less to be freed.
func (l *life) refusedWhenFull(filler *os.File, args ...string) {
	l.Helper()
	for range 20 {
		l.comesToNothing("monitors", func() []string { return processes(l.T, l.store) })
		for err := error(nil); err == nil; {
			if _, err = filler.Write(make([]byte, os.Getpagesize())); err != nil {
				require.ErrorIs(l, err, unix.ENOSPC)
			}
		}
		if out, err := l.command(args...).CombinedOutput(); err != nil {
			require.Regexp(l, "(?s)^box: .*no space left on device", string(out), args)
			return
		}
		l.command("rm", "-f", "more").Run() // where it was made
	}
	require.Fail(l, "it never fails", args)
}

// TestFullDisk fills the file system that the store is on.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small disk of its own")
	}
	l := newLife(t)
	require.NoError(t, os.MkdirAll(l.store, 0o755))
	require.NoError(t, unix.Mount("tmpfs", l.store, "tmpfs", 0, "size=256k"))
	require.Len(t, l.mounts(), 1, "the control of what nothingLeft looks for")
	defer func() { // nobody is at work there, once the last monitor has ended
		require.Eventually(t, func() bool { return unix.Unmount(l.store, 0) == nil }, time.Minute, 10*time.Millisecond)
	}()
	l.box("run", "--name", "full", "--rootfs", l.tiny, "sh", "-c", "echo data >/file")
	filler, err := os.Create(l.store + "/filler")
	require.NoError(t, err)
	for range 3 {
		l.refusedWhenFull(filler, "run", "--name", "more", "--rootfs", l.tiny, "true")
		l.refusedWhenFull(filler, "start", "full")
		require.Len(t, strings.Split(l.box("ps", "-a"), "\n"), 2, "the store is as it was")
	}
	require.Contains(t, l.box("diff", "full"), "A /file")
	l.box("rm", "full")
	require.NoError(t, os.Remove(filler.Name()))
	require.NoError(t, filler.Close())
	l.box("run", "--name", "next", "--rootfs", l.tiny, "true")
	l.box("rm", "next")
	for _, dir := range []string{"containers", "running"} {
		left, err := os.ReadDir(filepath.Join(l.store, dir))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// TestLogFillsDisk: how a container ended is noted, although its log has filled the disk.
func TestLogFillsDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small disk of its own")
	}
	l := newLife(t)
	require.NoError(t, os.MkdirAll(l.store, 0o755))
	require.NoError(t, unix.Mount("tmpfs", l.store, "tmpfs", 0, "size=1m"))
	defer func() {
		require.Eventually(t, func() bool { return unix.Unmount(l.store, 0) == nil }, time.Minute, 10*time.Millisecond)
	}()
	l.box("run", "-d", "--name", "wordy", "--rootfs", l.tiny, "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo "+strings.Repeat("x", 1000)+"; i=$((i+1)); done; exit 3")
	l.box("wait", "wordy")
	require.Contains(t, l.box("ps", "-a"), "Exited (3)")
	l.box("rm", "wordy")
}

// A note in the store removes what has the temporary name that belongs to it, and nothing else.
func TestNoteRemovesOnlyItsOwn(t *testing.T) {
	l, dir := newLife(t), t.TempDir()
	l.box("ps")
	id := ids.New()
	victim, own := filepath.Join(dir, "victim"), filepath.Join(dir, "."+id[:12])
	freezer := filepath.Join(dir, "cgroup.freeze")
	note := func(name, text string) string {
		path := filepath.Join(l.store, "running", state.Unfinished+name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, path := range []string{victim, own} {
		require.NoError(t, os.MkdirAll(path+"/deep", 0o755))
	}
	require.NoError(t, os.WriteFile(freezer, []byte("precious"), 0o644))
	notes := []string{note(id, victim), note(ids.New(), own+"/deep"), note(ids.New(), freezer),
		note(ids.New(), "."), note(ids.New(), "")}
	foreign := note("short", victim)
	l.box("ps")
	for _, path := range notes {
		require.NoFileExists(t, path)
	}
	require.FileExists(t, foreign)
	require.DirExists(t, victim+"/deep")
	require.Equal(t, "precious", contentOf(t, freezer))
	require.NoDirExists(t, own, "the control: this one is the note's")
}

// TestAStoreThatCannotBeMade: the first thing that is in the way is named, and only that.
func TestAStoreThatCannotBeMade(t *testing.T) {
	_, stderr, status := run(t, "ps", "--root", "/dev/null/store")
	require.Equal(t, 1, status)
	require.Equal(t, "box: the store: mkdir /dev/null: not a directory; another place for it is given by --root DIR or BOX_ROOT\n", stderr)
}

// TestWhileItStarts: exec and stop wait for a container that is just being started, as Docker's do.
// The start waits in turn until its caller has attached clients.
func TestWhileItStarts(t *testing.T) {
	for _, command := range []string{"exec one true", "stop one"} {
		l := newLife(t)
		l.box("create", "--rootfs", l.tiny, "--name", "one", "sleep", l.mark)
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		ours, theirs := os.NewFile(uintptr(ends[0]), "ours"), os.NewFile(uintptr(ends[1]), "theirs")
		start := l.command("start", "--hold", "one")
		start.Stdin = theirs
		require.NoError(t, start.Start())
		require.NoError(t, theirs.Close())
		_, err = ours.Read(make([]byte, 1))
		require.NoError(t, err)

		ended := make(chan error, 1)
		waiting := l.command(strings.Fields(command)...)
		go func() { ended <- waiting.Run() }()
		select {
		case err := <-ended:
			require.Fail(t, "it did not wait", "%s: %v", command, err)
		case <-time.After(300 * time.Millisecond):
		}
		_, err = ours.WriteString("!")
		require.NoError(t, err)
		require.NoError(t, start.Wait())
		require.NoError(t, <-ended, command)
		require.NoError(t, ours.Close())
	}
}

// A box does not read its own record again, unless another box has written it meanwhile.
func TestCurrentRecord(t *testing.T) {
	s := Store{Root: t.TempDir()}
	r := &Record{ID: ids.New(), Name: "first", Run: &Container{Command: Argv{"true"}}, store: s}
	r.Run.Rootfs, r.State.Status = "/", "running"
	_, err := r.current()
	require.ErrorIs(t, err, errNoContainer)
	require.NoError(t, os.MkdirAll(r.path(), 0o700))
	require.NoError(t, os.WriteFile(r.path("container.json"), nil, 0o600))
	_, err = r.current()
	require.ErrorContains(t, err, "restore it")
	require.NoError(t, r.write())
	r.State.Status = "exited"
	now, err := r.current()
	require.NoError(t, err)
	require.Same(t, r, now)
	require.NoError(t, (&Record{ID: r.ID, store: s}).amend(func(other *Record) error { other.Restarts = true; return nil }))
	now, err = r.current()
	require.NoError(t, err)
	require.True(t, now.Restarts)
	require.Equal(t, "running", now.State.Status)
	require.NoError(t, r.amend(func(now *Record) error { now.State = r.State; return nil }))
	now, err = s.read(r.ID)
	require.NoError(t, err)
	require.True(t, now.Restarts, "what the other box has written is kept")
	require.Equal(t, "exited", now.State.Status)
}

// The kernel stacks 500 directories, and the lowest has the mount points.
func TestMostLayers(t *testing.T) {
	l := newLife(t)
	args := []string{"run", "--root", l.store, "--rm", "--rootfs", l.tiny}
	for i := range maxLayers {
		layer := filepath.Join(filepath.Dir(l.store), fmt.Sprint("layer", i))
		require.NoError(t, os.Mkdir(layer, 0o755))
		args = append(args, "--layer", layer)
	}
	_, stderr, status := run(t, append(args, "true")...)
	require.Equal(t, 125, status)
	require.Contains(t, stderr, "500 layers are more than the 499 that the kernel can stack here")
	_, stderr, status = run(t, append(args[:len(args)-2], "true")...)
	require.Zero(t, status, stderr)
}
