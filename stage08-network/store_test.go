package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
)

// wreck is a store with something of every kind in it, copies of which are damaged. Programs run
// with a directory in PATH where the names of images are programs, which leave a mark.
type wreck struct {
	*testing.T
	dir, store, bin, mark string
	netns                 int // the network namespace of the test's own

	all   map[string]string // the paths, and their kinds
	app   map[string]bool   // the paths that only the image app needs
	roles map[string]string // of layers, and of blobs that are not layers
	c1    string            // the directory of a container
}

// command is a box command for a store.
func (w *wreck) command(store string, args ...string) *exec.Cmd {
	cmd := exec.Command(box, args...)
	cmd.Env = append(os.Environ(), "BOX_ROOT="+store, "PATH="+w.bin+":"+os.Getenv("PATH"))
	return cmd
}

func (w *wreck) box(args ...string) string {
	w.Helper()
	out, err := w.command(w.store, args...).CombinedOutput()
	require.NoError(w, err, "%v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// newWreck makes the store, in a network namespace of the test's own.
func newWreck(t *testing.T) *wreck {
	dir := t.TempDir()
	w := &wreck{T: t, dir: dir, store: dir + "/store", bin: dir + "/bin", mark: dir + "/mark",
		app: map[string]bool{}, roles: map[string]string{}}
	runtime.LockOSThread() // it ends with the goroutine: its namespace is another
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
	netns, err := os.Open("/proc/thread-self/ns/net")
	require.NoError(t, err)
	t.Cleanup(func() { netns.Close() })
	w.netns = int(netns.Fd())
	for _, name := range []string{w.bin, w.dir + "/context"} {
		require.NoError(t, os.Mkdir(name, 0o755))
	}
	write := func(name, text string, mode fs.FileMode) {
		require.NoError(t, os.WriteFile(dir+"/"+name, []byte(text), mode))
	}
	for _, name := range []string{"app", "apart", "base", "built"} {
		write("bin/"+name, "#!/bin/sh\necho host >>"+w.mark+"\n", 0o755)
	}
	write("context/token", "inside\n", 0o644)
	write("context/Dockerfile", "FROM base\nCOPY token /token\nRUN --mount=type=cache,target=/c echo x >/c/y; echo y >/z\n", 0o644)
	w.box("rootfs", dir+"/root")
	programs, err := filepath.Glob(dir + "/root/bin/*")
	require.NoError(t, err)
	for _, program := range programs { // copies are made of it again and again
		if !slices.Contains([]string{"sh", "dash", "bash", "busybox", "cat", "sleep", "true"}, filepath.Base(program)) {
			require.NoError(t, os.Remove(program))
		}
	}
	for _, name := range []string{"base", "apart"} {
		write("root/is-"+name, name, 0o644)
		tar := exec.Command("tar", "-C", dir+"/root", "-cf", dir+"/root.tar", ".")
		require.NoError(t, tar.Run())
		w.box("import", "-c", "CMD sh", dir+"/root.tar", name)
	}
	before := w.paths(w.store)
	w.box("build", "-q", "--network", "none", "-t", "app", dir+"/context")
	w.box("images")
	for path := range w.paths(w.store) {
		w.app[path] = before[path] == ""
	}
	w.box("run", "--network", "none", "--name", "c1", "-v", "vol:/v", "-v", "/unnamed", "app", "sh", "-c", "echo data >/data; echo data >/v/data")
	id, err := os.Readlink(w.store + "/containers/c1")
	require.NoError(t, err)
	w.c1 = "containers/" + id
	w.box("network", "create", "n1")
	w.box("run", "--name", "c2", "apart", "true")
	id = w.box("run", "-d", "--name", "c3", "--network", "n1", "apart", "sleep", "1000")
	w.killBoxOf(w.store + "/running/" + id)
	write("store/running/"+state.Unfinished+ids.New(), w.store+"/volumes/none", 0o600)
	w.all = w.paths(w.store)
	w.readRoles()
	return w
}

// killBoxOf kills the box that holds a lock, and waits for its end.
func (w *wreck) killBoxOf(lock string) {
	holders := state.Holders(lock)
	require.Len(w, holders, 1)
	require.NoError(w, unix.Kill(holders[0], unix.SIGKILL))
	require.Eventually(w, func() bool { return len(state.Holders(lock)) == 0 }, time.Minute, 2*time.Millisecond)
}

var (
	ofID      = regexp.MustCompile(`[0-9a-f]{64}`)
	ofKey     = regexp.MustCompile(`[0-9a-f]{32}`)
	ofName    = regexp.MustCompile(`^(containers)/c\d`)
	inSomeone = regexp.MustCompile(`^(layers/ID|containers/ID/(upper|work|merged)|volumes/[^/]*/_data|cache/mounts/KEY)/`)
)

// kindOf is the kind of a path in a store. What is inside of a layer, a volume or a container's
// own layer is not box's.
func kindOf(path string) (kind string, inner bool) {
	kind = ofKey.ReplaceAllString(ofID.ReplaceAllString(path, "ID"), "KEY")
	kind = ofName.ReplaceAllString(kind, "$1/NAME")
	return kind, inSomeone.MatchString(kind)
}

// paths are those of a store that have a kind, and the kinds.
func (w *wreck) paths(store string) map[string]string {
	all := map[string]string{}
	require.NoError(w, filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		path, _ = filepath.Rel(store, path)
		kind, inner := kindOf(path)
		switch {
		case err != nil || path == ".":
			return err
		case inner && d.IsDir():
			return fs.SkipDir
		case !inner:
			all[path] = kind
		}
		return nil
	}))
	return all
}

// damages are what can happen to a file, or to a directory and all in it.
var damages = map[string]func(path, outside string, old []byte) error{
	"cut":     func(path, outside string, old []byte) error { return os.WriteFile(path, old[:len(old)/2], 0o644) },
	"emptied": func(path, outside string, _ []byte) error { return os.WriteFile(path, nil, 0o644) },
	"wrong JSON": func(path, outside string, _ []byte) error {
		return os.WriteFile(path, []byte(`{"manifests":[{}],"Run":{},"digest":""}`), 0o644)
	},
	"wrong type": func(path, outside string, _ []byte) error { return os.WriteFile(path, []byte("[1]"), 0o644) },
	"missing":    func(path, outside string, _ []byte) error { return nil },
	"directory":  func(path, outside string, _ []byte) error { return os.Mkdir(path, 0o755) },
	"lost link":  func(path, outside string, _ []byte) error { return os.Symlink("/no/such/place", path) },
	"link out":   func(path, outside string, _ []byte) error { return os.Symlink(outside, path) },
}

// lost reports what is not there any more of what was not damaged, and may not be gone.
func (w *wreck) lost(store, damaged, verb string) (lost []string) {
	for path := range w.all {
		old, err := os.Lstat(filepath.Join(w.store, path))
		require.NoError(w, err)
		now, err := os.Lstat(filepath.Join(store, path))
		switch kind := w.all[path]; {
		case (path+"/") == damaged+"/" || strings.HasPrefix(path, damaged+"/"), strings.HasPrefix(path, "running/"):
		case verb == "rm -f" && (path == "containers/c1" || strings.HasPrefix(path, w.c1)):
		case verb == "rmi -f" && w.app[path]:
		case verb == "build" && strings.HasPrefix(path, "cache/") && strings.HasPrefix(damaged, "cache"):
		case err != nil || old.Mode().Type() != now.Mode().Type():
			lost = append(lost, path)
		case kind == "images/blobs/sha256/ID" && old.Size() != now.Size():
			lost = append(lost, path+", as it was")
		}
	}
	return append(lost, w.unnamed(store, damaged, verb)...)
}

// unnamed are the images whose names are lost, and the data of containers and volumes.
func (w *wreck) unnamed(store, damaged, verb string) (lost []string) {
	if index, err := os.ReadFile(store + "/images/index.json"); !strings.HasPrefix("images/index.json/", damaged+"/") {
		for _, name := range []string{"app", "apart", "base"} {
			if err != nil || !strings.Contains(string(index), "library/"+name+":") && (name != "app" || verb != "rmi -f") {
				lost = append(lost, "the name "+name)
			}
		}
	}
	for _, path := range []string{"volumes/vol/_data/data", w.c1 + "/upper/data"} {
		text, err := os.ReadFile(filepath.Join(store, path))
		gone := verb == "rm -f" && strings.HasPrefix(path, w.c1)
		if !gone && !strings.HasPrefix(path, damaged+"/") && (err != nil || string(text) != "data\n") {
			lost = append(lost, path)
		}
	}
	return lost
}

// verbs are what is done to every damaged store.
var verbs = map[string][]string{
	"run": {"run", "--rm", "--network", "none", "app", "cat", "/token"}, "ps -a": {"ps", "-a"}, "images": {"images"},
	"rm -f": {"rm", "-f", "c1"}, "rmi -f": {"rmi", "-f", "app"}, "build": {"build", "-q", "--network", "none", "-t", "built"},
}

// neededBy are the kinds of files that a verb cannot do without. All verbs need the directories.
var neededBy = map[string]*regexp.Regexp{
	"run":    regexp.MustCompile(`^(images/(index.json|index.lock|use.lock)|images/blobs/sha256/ID of app|layers/ID of app|mountpoints.*)$`),
	"build":  regexp.MustCompile(`^(images/(index.json|index.lock|use.lock)|images/blobs/sha256/ID.*|layers/ID.*|mountpoints.*|cache.*)$`),
	"images": regexp.MustCompile(`^images/(index.json|index.lock)$`),
	"rmi -f": regexp.MustCompile(`^(images/(index.json|index.lock)|images/blobs/sha256/ID of.*|mountpoints.*)$`),
	"rm -f":  regexp.MustCompile(`^mountpoints.*$`),
	"ps -a":  regexp.MustCompile(`^mountpoints.*$`),
}

var directories = regexp.MustCompile(`^(images|images/blobs|images/blobs/sha256|images/partial|layers|containers|running|volumes|mountpoints|cache.*)$`)

// try damages a copy of the store, gives a command, and reports what is wrong afterwards.
func (w *wreck) try(store, path, kind, damage, verb string) error {
	if err := w.copyTo(store); err != nil {
		return err
	}
	file, outside := filepath.Join(store, path), store+"-outside"
	defer os.RemoveAll(store)
	defer os.RemoveAll(outside)
	old, _ := os.ReadFile(file) // none of a directory
	err := errors.Join(os.Mkdir(outside, 0o755), os.WriteFile(outside+"/file", []byte("precious"), 0o644), os.RemoveAll(file), damages[damage](file, outside, old))
	if err != nil {
		return err
	}
	args := slices.Clone(verbs[verb])
	if verb == "build" {
		args = append(args, w.dir+"/context")
	}
	var out, errs bytes.Buffer
	cmd := w.command(store, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	status, said := cmd.ProcessState.ExitCode(), strings.ReplaceAll(errs.String(), store, "STORE")
	wrong := func(text string, list ...any) error {
		return fmt.Errorf("%s %s, %s: %s\nexit %d\n%s%s", damage, path, verb, fmt.Sprintf(text, list...), status, out.String(), said)
	}
	need := neededBy[verb].MatchString(kind) || directories.MatchString(kind)
	names := strings.Contains(said, "STORE/"+path) || strings.Contains(said, filepath.Base(path)[:min(12, len(filepath.Base(path)))])
	precious, _ := os.ReadFile(outside + "/file")
	switch {
	case strings.Contains(said, "panic:") || strings.Contains(said, "goroutine ") || status < 0:
		return wrong("it panicked")
	case exists(w.mark):
		return wrong("a program of the host ran")
	case string(precious) != "precious":
		return wrong("a file outside has changed")
	case status != 0 && !need:
		return wrong("it does not need that file")
	case status != 0 && !(names && ofWays.MatchString(said)) && !isEmptied(kind, damage):
		return wrong("it names no file, or no way out")
	case status == 0 && verb == "run" && out.String() != "inside\n":
		return wrong("it was not the image's program")
	case status == 0 && verb == "rm -f" && (exists(store+"/"+w.c1) || exists(store+"/containers/c1")):
		return wrong("the container is still there")
	}
	if lost := w.lost(store, path, verb); len(lost) > 0 {
		return wrong("lost: %q", lost)
	}
	return nil
}

// isEmptied reports whether a directory has become an empty one, which does not look damaged: a
// store without images pulls them, and a program that was in a layer is not found.
func isEmptied(kind, damage string) bool {
	emptied := damage == "missing" || damage == "directory" || damage == "link out"
	return emptied && directories.MatchString(kind) || damage == "directory" && strings.HasPrefix(kind, "layers/ID")
}

var ofWays = regexp.MustCompile(`remove|restore|pull|box rm|--root`)

// TestDamagedStore damages every kind of file of a store in every way. A command that needs the
// file says so, and all others work; no program of the host runs, and nothing else is lost. The
// short form chooses a verb for each kind and damage at random.
func TestDamagedStore(t *testing.T) {
	boxtest.Slow(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, for networks")
	}
	w, random := newWreck(t), boxtest.Random(t)
	type trial struct{ path, kind, damage, verb string }
	var trials []trial
	for kind, paths := range w.kinds() {
		for _, damage := range slices.Sorted(maps.Keys(damages)) {
			for _, verb := range slices.Sorted(maps.Keys(verbs)) {
				trials = append(trials, trial{paths[random.IntN(len(paths))], kind, damage, verb})
			}
		}
	}
	slices.SortFunc(trials, func(a, b trial) int { return strings.Compare(a.kind+a.damage+a.verb, b.kind+b.damage+b.verb) })
	random.Shuffle(len(trials), func(i, j int) { trials[i], trials[j] = trials[j], trials[i] })
	t.Logf("%d kinds of files, %d trials", len(w.kinds()), len(trials))
	if !boxtest.Long() {
		trials = trials[:100]
	}
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			runtime.LockOSThread() // it ends with the goroutine, and so does its network
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Error(err)
			}
			for n := i; n < len(trials) && !t.Failed() || boxtest.Long() && n < len(trials); n += 2 {
				x := trials[n]
				if err := w.try(fmt.Sprintf("%s/copy-%d", w.dir, n), x.path, x.kind, x.damage, x.verb); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// kinds are the paths of each kind. A blob or a layer is of the image app alone, or of several.
func (w *wreck) kinds() map[string][]string {
	kinds := map[string][]string{}
	for _, path := range slices.Sorted(maps.Keys(w.all)) {
		kind := w.all[path]
		if kind == "images/blobs/sha256/ID" || kind == "layers/ID" {
			kind += w.roles[path]
		}
		kinds[kind] = append(kinds[kind], path)
	}
	return kinds
}

// readRoles finds out what blobs and layers are of.
func (w *wreck) readRoles() {
	s := Store{Root: w.store}
	all, err := s.layout().Images()
	require.NoError(w, err)
	for _, image := range all {
		role := " of another"
		if slices.Contains(image.Names, "docker.io/library/app:latest") {
			role = " of app"
		}
		documents := []digest.Digest{image.ID, image.Manifest.Digest}
		for i, d := range append(documents, image.Config.RootFS.DiffIDs...) {
			path := s.layers().Path(d)
			if i < len(documents) {
				path = s.layout().Path(d)
			}
			path = strings.TrimPrefix(path, w.store+"/")
			if role == " of app" || w.roles[path] == "" {
				w.roles[path] = role
			}
		}
	}
}

// copyTo copies the store. Files that a box replaces are shared; those that it locks are not.
func (w *wreck) copyTo(store string) error {
	if err := exec.Command("cp", "-al", w.store, store).Run(); err != nil {
		return fmt.Errorf("cp: %w", err)
	}
	for path := range w.all {
		if base := filepath.Base(path); strings.HasSuffix(base, "lock") || strings.HasPrefix(path, "running/") {
			data, err := os.ReadFile(filepath.Join(w.store, path))
			err = errors.Join(err, os.Remove(filepath.Join(store, path)), os.WriteFile(filepath.Join(store, path), data, 0o600))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// siege is a store that many commands work on, each of which may be killed.
type siege struct {
	*wreck
	mutex sync.Mutex
	kept  map[string]bool // containers and images that were acknowledged, and not removed
	kills int
}

// give gives a command, and kills it sometimes. It reports whether the command has succeeded.
func (s *siege) give(r *rand.Rand, args ...string) bool {
	cmd := s.command(s.store, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(s, cmd.Start())
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.Int64N(int64(60 * time.Millisecond))))
		cmd.Process.Kill()
	}
	err := cmd.Wait()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if cmd.ProcessState.ExitCode() < 0 {
		s.kills++
	}
	if strings.Contains(said.String(), "panic:") {
		s.Errorf("%v: %s", args, said.String())
	}
	return err == nil
}

// keep notes what has become of a container or an image.
func (s *siege) keep(name string, there bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if delete(s.kept, name); there {
		s.kept[name] = true
	}
}

// round takes a container and an image through their lives.
func (s *siege) round(r *rand.Rand, name string) {
	data := "[ -s /data ] || echo data >/data; exec sleep "
	run := []string{"run", "--network", "n1", "--name", name, "base", "sh", "-c", data + "0"}
	if r.IntN(2) == 0 {
		run = slices.Concat([]string{"run", "-d"}, run[1:6], []string{"sh", "-c", data + "1000"})
	}
	s.keep(name, s.give(r, run...) && run[1] != "-d")
	s.give(r, "stop", "-t", "0", name)
	s.give(r, "start", name)
	image := "image-" + name
	if s.give(r, "commit", name, image) {
		s.keep(image, true)
	}
	if r.IntN(3) == 0 {
		s.keep(name, false) // killed or not, it may be gone
		s.give(r, "rm", "-f", name)
		s.keep(image, false)
		s.give(r, "rmi", "-f", image)
	}
}

// TestKilledWithImages kills box thirty times, or two hundred in the long form, while it runs,
// starts, stops, commits and removes. What was acknowledged is there, and nothing half-made stays.
func TestKilledWithImages(t *testing.T) {
	boxtest.Slow(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, for networks")
	}
	s, kills := &siege{wreck: newWreck(t), kept: map[string]bool{}}, 30
	if boxtest.Long() {
		kills = 200
	}
	source := boxtest.Random(t)
	for i := 0; s.kills < kills && !t.Failed(); i += 3 { // three at a time
		var all sync.WaitGroup
		for n := range 3 {
			r := rand.New(rand.NewPCG(source.Uint64(), 0))
			all.Go(func() { s.here(func() { s.round(r, fmt.Sprint("x", i+n)) }) })
		}
		all.Wait()
	}
	t.Logf("killed %d times", s.kills)
	s.isWhole()
}

// here calls do in the network namespace that the test has.
func (s *siege) here(do func()) {
	runtime.LockOSThread()
	if err := unix.Setns(s.netns, unix.CLONE_NEWNET); err != nil {
		s.Error(err)
		return
	}
	do()
}

// isWhole looks for everything that was acknowledged, and for leftovers once all is removed.
func (s *siege) isWhole() {
	containers, images := s.box("ps", "-a"), s.box("images")
	for name := range s.kept {
		if strings.HasPrefix(name, "image-") {
			require.Contains(s, images, name)
			require.Equal(s, "data", s.box("run", "--rm", "--network", "none", name, "cat", "/data"))
		} else {
			require.Contains(s, containers, name)
			require.Contains(s, s.box("diff", name), "A /data")
		}
	}
	for _, c := range strings.Fields(s.box("ps", "-aq")) {
		s.box("rm", "-f", "-v", c)
	}
	for path := range s.paths(s.store) {
		name := filepath.Base(path)
		half := strings.HasPrefix(name, ".") || filepath.Dir(path) == "running" || filepath.Dir(path) == "containers" || filepath.Dir(path) == "images/partial"
		require.False(s, half, path)
	}
	leases, err := os.ReadFile(s.store + "/networks/n1.leases")
	require.NoError(s, err)
	require.Empty(s, string(leases))
}

// TestManyAtOnceOnOneStore has 48 commands at once run, build, import, tag, commit and remove.
func TestManyAtOnceOnOneStore(t *testing.T) {
	boxtest.Slow(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, for networks")
	}
	s, rounds := &siege{wreck: newWreck(t), kept: map[string]bool{}}, 1
	if boxtest.Long() {
		rounds = 10
	}
	s.box("run", "--network", "none", "--name", "data", "base", "sh", "-c", "echo data >/data")
	for round := range rounds {
		var all sync.WaitGroup
		for i := range 48 {
			name := fmt.Sprintf("x%d-%d", round, i)
			args := [][]string{{"run", "--network", "n1", "--name", name, "base", "sh", "-c", "echo data >/data"},
				{"commit", "data", "image-" + name}, {"build", "-q", "--network", "none", "-t", name, s.dir + "/context"}, {"tag", "data", "image-" + name},
				{"run", "--rm", "-v", "vol:/v", "app", "cat", "/v/data"}, {"ps", "-a"}, {"images"}, {"rmi", "gone" + name}}[i%8]
			switch args[0] {
			case "tag":
				args[1] = "apart"
			case "rmi":
				s.box("tag", "base", "gone"+name)
			}
			all.Go(func() {
				s.here(func() {
					if out, err := s.command(s.store, args...).CombinedOutput(); err != nil {
						t.Errorf("%v: %v: %s", args, err, out)
					}
				})
			})
			if i%8 == 0 {
				s.keep(name, true)
			} else if args[0] == "commit" {
				s.keep("image-"+name, true)
			}
		}
		all.Wait()
	}
	s.isWhole()
}
