package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// life is a store of the test's own, with a root for its containers.
type life struct {
	*testing.T
	store, tiny, mark string
}

func newLife(t *testing.T) *life {
	dir := t.TempDir()
	l := &life{t, filepath.Join(dir, "store"), newTiny(t), fmt.Sprintf("10%d", rand.IntN(1e6))}
	t.Cleanup(l.removeAll) // an ordinary user cannot remove what the kernel has made in work/
	return l
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

// refused runs a command that has to fail with a sentence.
func (l *life) refused(says string, args ...string) {
	l.Helper()
	out, err := l.command(args...).CombinedOutput()
	require.Error(l, err, "%v: %s", args, out)
	require.Regexp(l, "(?s)^box: .*"+says, string(out), args)
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

// cgroups are box's, of boxes that live no more.
func deadGroups(t *testing.T) (dead []string) {
	trees, err := trees()
	require.NoError(t, err)
	for _, tree := range trees {
		groups, err := filepath.Glob(tree.mount + "/box-[0-9]*")
		require.NoError(t, err)
		for _, group := range groups {
			if _, err := os.Stat("/proc/" + strings.TrimPrefix(filepath.Base(group), "box-")); err != nil {
				dead = append(dead, group)
			}
		}
	}
	return dead
}

// nothingLeft removes all containers, and looks for what is there all the same.
func (l *life) nothingLeft(mounts string) {
	l.removeAll()
	l.box("run", "--rm", "--rootfs", l.tiny, "true")
	for _, dir := range []string{"containers", "running", "volumes"} {
		left, err := os.ReadDir(filepath.Join(l.store, dir))
		require.NoError(l, err)
		require.Empty(l, left, dir)
	}
	require.Empty(l, processes(l.T, l.mark))
	require.Empty(l, processes(l.T, l.store), "monitors")
	require.Equal(l, mounts, contentOf(l.T, "/proc/self/mountinfo"))
	require.Eventually(l, func() bool { return len(deadGroups(l.T)) == 0 }, 10*time.Second, 100*time.Millisecond)
}

func contentOf(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// killer runs commands, and kills most of them at some instant.
type killer struct {
	*life
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
	if lasts := k.lasts[kind]; lasts != 0 && rand.IntN(4) > 0 {
		time.Sleep(rand.N(lasts + lasts/4))
		victim := cmd.Process.Pid
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", victim))
		if fields := strings.Fields(string(children)); len(fields) > 0 && rand.IntN(2) == 0 {
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
	for some = range k.kept {
		break
	}
	fresh, script := fmt.Sprintf("%s%d", k.name, i), "[ -s /file ] || echo data >/file; exec sleep "
	switch n := rand.IntN(6); {
	case n == 0 || some == "":
		k.kept[fresh] = k.try("run", "run", "--name", fresh, "-v", "/anonymous", "--rootfs", k.tiny, "sh", "-c", script+"0")
	case n == 1:
		k.kept[fresh] = k.try("run -d", "run", "-d", "--name", fresh, "--rootfs", k.tiny, "sh", "-c", script+k.mark) && k.hasWritten(fresh)
	case n == 2:
		k.try("run --rm", "run", "--rm", "-v", "/anonymous", "--rootfs", k.tiny, "sh", "-c", script+"0")
	case n == 3:
		k.box("stop", "-t", "0", some)
		k.try("start", "start", some)
	case n == 4:
		k.commit(some, fresh)
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

// TestKilledAtAnyInstant kills box and its monitors five hundred times. What was
// acknowledged is there afterwards, and the next commands clear away what was begun.
func TestKilledAtAnyInstant(t *testing.T) {
	l, mounts := newLife(t), contentOf(t, "/proc/self/mountinfo")
	kills, killers := 250, []*killer{}
	if testing.Short() {
		kills = 30
	}
	var all sync.WaitGroup
	for _, name := range []string{"x", "y"} { // no digit of an id, which would be found by its prefix
		k := &killer{life: l, name: name, kept: map[string]bool{}, lasts: map[string]time.Duration{}}
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
	l.nothingLeft(mounts)
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
	l := newLife(t)
	l.box("run", "-d", "-t", "--name", "shown", "--rootfs", l.tiny, "sh", "-c", "sleep 0.1; tty; seq 20000; echo end")
	require.Equal(t, "0", l.box("wait", "shown"))
	lines := strings.Split(l.box("logs", "shown"), "\r\n")
	require.Equal(t, "/dev/pts/0", lines[0])
	require.Equal(t, []string{"20000", "end\r"}, lines[len(lines)-2:])
}

// TestFiftyAtOnce has fifty commands at once on three containers, and wants an answer of each.
func TestFiftyAtOnce(t *testing.T) {
	l, mounts := newLife(t), contentOf(t, "/proc/self/mountinfo")
	for _, name := range []string{"x", "y", "z"} {
		l.box("run", "-d", "--name", name, "--rootfs", l.tiny, "sleep", l.mark)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			verb := [][]string{{"start"}, {"stop"}, {"rm", "-f"}, {"inspect"}, {"diff"}, {"kill"}, {"wait"}, {"start"}, {"rm"},
				{"run", "-d", "--rootfs", l.tiny, "--name"}}[i%10]
			args := append(verb, []string{"x", "y", "z"}[i%3])
			if verb[0] == "run" {
				args = append(args, "sleep", l.mark)
			}
			cmd := l.command(args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); !assertNoError(t, err) {
				return
			}
			if verb[0] == "wait" { // it ends when the container does
				time.AfterFunc(20*time.Second, func() { l.command("rm", "-f", "x", "y", "z").Run() })
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || !regexp.MustCompile(`(?m)^box: [^{]{10}`).Match(out.Bytes())) {
				t.Errorf("%v: %v, %s", args, err, out.String())
			}
		})
	}
	done := make(chan bool)
	go func() { all.Wait(); close(done) }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		case <-time.After(3 * time.Second):
			l.command("rm", "-f", "x", "y", "z").Run() // so that those who wait see an end
		}
	}
	l.nothingLeft(mounts)
}

func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// TestFullDisk fills the file system that the store is on.
func TestFullDisk(t *testing.T) {
	needsRoot(t)
	l := newLife(t)
	require.NoError(t, os.MkdirAll(l.store, 0o755))
	require.NoError(t, unix.Mount("tmpfs", l.store, "tmpfs", 0, "size=256k"))
	defer func() { require.NoError(t, unix.Unmount(l.store, 0)) }()
	l.box("run", "--name", "full", "--rootfs", l.tiny, "sh", "-c", "echo data >/file")
	filler, err := os.Create(l.store + "/filler")
	require.NoError(t, err)
	for range 3 {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, os.Getpagesize()))
		}
		require.ErrorIs(t, err, unix.ENOSPC)
		l.refused("no space left on device", "run", "--rootfs", l.tiny, "true")
		l.refused("no space left on device", "start", "full")
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
