package union

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/files"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// layered are random layers and paths to look up in them, for the kernel to say what is there.
type layered struct {
	Layers []string // the top one first
	Paths  []string
	User   bool // marked as in the overlay of an ordinary user
}

var someNames = []string{"a", "b", "c", "d"}

func somePath(r *rand.Rand, parts int) string {
	words := make([]string, 1+r.IntN(parts))
	for i := range words {
		words[i] = someNames[r.IntN(len(someNames))]
	}
	return filepath.Join(words...)
}

// randomLayer fills a directory with all that can be in a layer.
func randomLayer(t *testing.T, r *rand.Rand, dir, mark string) {
	for range 25 {
		name := filepath.Join(dir, somePath(r, 3))
		if os.MkdirAll(filepath.Dir(name), 0o755) != nil {
			continue // there is a file in the way
		}
		var err error
		switch r.IntN(5) {
		case 0:
			err = os.WriteFile(name, []byte(name), 0o644)
		case 1:
			target := strings.Repeat("../", r.IntN(3)) + somePath(r, 3)
			if r.IntN(3) == 0 {
				target = "/" + target
			}
			err = os.Symlink(target, name)
		case 2:
			err = unix.Mknod(name, unix.S_IFCHR, 0) // a whiteout
		case 3:
			if err = os.Mkdir(name, 0o755); err == nil {
				err = unix.Setxattr(name, mark, []byte("y"), 0)
			}
		default:
			err = os.Mkdir(name, 0o700+fs.FileMode(r.IntN(64)))
		}
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) {
			t.Skipf("whiteouts and marks cannot be made here: %v", err)
		}
	}
}

// seenAt tells what is at a path.
func seenAt(fd int, err error) string {
	if err != nil {
		var errno unix.Errno
		errors.As(err, &errno)
		return errno.Error()
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	text, _ := io.ReadAll(file)
	return fmt.Sprintf("%v %s", info.Mode(), text)
}

// tree is all that lies below a path.
func treeOf(look func(path string, flags int) (int, error), dir string) (list []string) {
	fd, err := look(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return []string{dir + ": " + err.Error()}
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	names, _ := file.Readdirnames(-1)
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(dir, name)
		fd, err := look(path, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue // a whiteout where there is nothing below: the kernel lists it, and then does not find it
		}
		if err != nil {
			return append(list, path+": "+err.Error())
		}
		var st unix.Stat_t
		target, _ := files.ReadLink(fd)
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		list = append(list, fmt.Sprintf("%s %o %d %s %v", path, st.Mode, st.Size*int64(st.Mode>>15&1), target, err))
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			list = append(list, treeOf(look, path)...)
		}
	}
	return list
}

// openTree opens a directory as a handle, until the test ends.
func openTree(t testing.TB, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	return fd
}

func contentOf(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// TestKernelsView is not a test by itself: it mounts the layers, in namespaces that the real
// test has made for it, and writes down what the kernel shows.
func TestKernelsView(t *testing.T) {
	if os.Getenv("LAYERED") == "" {
		t.Skip("it is for TestUnionIsAsTheKernels")
	}
	var all []layered
	var views [][]string
	require.NoError(t, json.Unmarshal([]byte(contentOf(t, os.Getenv("LAYERED"))), &all))
	merged := t.TempDir()
	for _, l := range all {
		options := "lowerdir=" + strings.Join(l.Layers, ":")
		if l.User {
			options += ",userxattr"
		}
		require.NoError(t, unix.Mount("overlay", merged, "overlay", unix.MS_RDONLY, options))
		root := openTree(t, merged)
		look := func(path string, flags int) (int, error) {
			fd, err := -1, error(unix.EAGAIN)
			for err == unix.EAGAIN { // something was renamed or mounted meanwhile, by another test
				fd, err = unix.Openat2(root, path, &unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_IN_ROOT})
			}
			return fd, err
		}
		view := treeOf(look, ".")
		for _, path := range l.Paths {
			view = append(view, path+": "+seenAt(look(path, unix.O_RDONLY)))
		}
		views = append(views, view)
		require.NoError(t, unix.Unmount(merged, unix.MNT_DETACH))
	}
	text, err := json.Marshal(views)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(os.Getenv("LAYERED")+".seen", text, 0o644))
}

func TestUnionIsAsTheKernels(t *testing.T) {
	boxtest.Slow(t)
	for _, user := range []bool{false, true} {
		t.Run(map[bool]string{false: "root", true: "user"}[user], func(t *testing.T) {
			if !user {
				if os.Geteuid() != 0 {
					t.Skip("only root may mark a directory so: run this as root")
				}
			}
			dir, r, mark := t.TempDir(), boxtest.Random(t), map[bool]string{false: "trusted", true: "user"}[user]+".overlay.opaque"
			before := opaqueMark
			opaqueMark = func() string { return mark }
			defer func() { opaqueMark = before }()
			var all []layered
			cases := 60
			if boxtest.Long() {
				cases = 1000
			}
			for i := range cases {
				l := layered{User: user}
				for n := range 2 + r.IntN(4) + i%10/9*maxOpen { // every tenth has more than are kept open
					layer := fmt.Sprintf("%s/%d.%d", dir, i, n)
					require.NoError(t, os.Mkdir(layer, 0o755))
					randomLayer(t, r, layer, mark)
					l.Layers = append(l.Layers, layer)
				}
				for range 40 {
					l.Paths = append(l.Paths, somePath(r, 3)+[]string{"", "/..", "/../" + somePath(r, 2), "/./", "//" + somePath(r, 1)}[r.IntN(5)])
				}
				all = append(all, l)
			}
			for i, want := range kernelsViews(t, dir+"/all", all) {
				u, err := Open(all[i].Layers)
				require.NoError(t, err)
				require.Equal(t, want, viewOf(u, all[i].Paths), "%v", all[i].Layers)
				u.Close()
			}
		})
	}
}

// kernelsViews asks TestKernelsView in new namespaces.
func kernelsViews(t *testing.T, file string, all []layered) (views [][]string) {
	text, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o644))
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKernelsView$")
	cmd.Env = append(os.Environ(), "LAYERED="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if all[0].User {
		self := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, UidMappings: self(os.Geteuid()), GidMappings: self(os.Getegid())}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, json.Unmarshal([]byte(contentOf(t, file+".seen")), &views))
	return views
}

// viewOf is the same as Open has it.
func viewOf(u *FS, paths []string) []string {
	var list func(n *Node, prefix string) []string
	list = func(n *Node, prefix string) (all []string) {
		children, err := n.Children()
		if err != nil {
			return []string{err.Error()}
		}
		for _, c := range children {
			path, target := filepath.Join(prefix, c.name), ""
			if c.Is(unix.S_IFLNK) {
				target, err = c.ReadLink()
			}
			all = append(all, fmt.Sprintf("%s %o %d %s %v", path, c.Mode, c.Size*int64(c.Mode>>15&1), target, err))
			if c.dirs != nil {
				all = append(all, list(c, path)...)
			}
		}
		return all
	}
	all := list(u.root, ".")
	for _, path := range paths {
		n, err := u.Find(path, true)
		if err != nil {
			all = append(all, path+": "+seenAt(-1, err))
			continue
		}
		all = append(all, path+": "+seenAt(n.Open(unix.O_RDONLY)))
	}
	return all
}

// TestPath: a file that was found through a link has its own path.
func TestPath(t *testing.T) {
	layer := t.TempDir()
	require.NoError(t, os.MkdirAll(layer+"/a/b", 0o755))
	require.NoError(t, os.WriteFile(layer+"/a/b/c", nil, 0o644))
	require.NoError(t, os.Symlink("/a/b", layer+"/link"))
	u, err := Open([]string{layer})
	require.NoError(t, err)
	defer u.Close()
	require.Equal(t, ".", u.Root().Path())
	n, err := u.Find("link/c", false)
	require.NoError(t, err)
	require.Equal(t, "a/b/c", n.Path())
	require.Equal(t, "a/b", n.Parent().Path())
}

// TestLayerOfAFile: a file is of the layer that has it, however deep it is, and Walk comes to all.
func TestLayerOfAFile(t *testing.T) {
	dir := t.TempDir()
	var layers []string
	for i := range 20 { // more than are kept open
		layers = append(layers, filepath.Join(dir, fmt.Sprint(i)))
		name := filepath.Join(layers[i], "a/b", fmt.Sprint(i))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, nil, 0o644))
	}
	u, err := Open(layers)
	require.NoError(t, err)
	defer u.Close()
	var found []string
	require.NoError(t, u.Root().Walk(func(n *Node, _ int) error {
		found = append(found, n.Path())
		if !n.IsDir() {
			require.Equal(t, n.Name(), fmt.Sprint(n.Layer()))
		}
		return nil
	}))
	require.Len(t, found, 22)
	require.Equal(t, []string{"a", "a/b", "a/b/0"}, found[:3])
}
