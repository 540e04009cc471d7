// Directories that a layer does not list. Some tools write a layer with /tmp/file and without /tmp:
// the directory is then as the layers below have it. In a stack of directories, though, the upper
// one counts. Inherit therefore makes a layer of directories alone, to go above the one that lacks
// them. It cannot be the layer itself: other images may have that above other layers.

package layer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// Implied returns the directories of an unpacked layer that its stream did not list, by their paths
// in it, in order.
func Implied(dir string) ([]string, error) {
	text, err := os.ReadFile(dir + OwnersSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if name, ok, errLine := impliedLine(strings.TrimSuffix(line, "\n")); ok {
			list, err = append(list, name), errors.Join(err, errLine)
		}
	}
	slices.Sort(list)
	return list, about("read", dir+OwnersSuffix, err)
}

// Inherit makes a layer in dir, which is empty: the implied directories of the uppermost of layers,
// with owner, mode, attributes and time of those that they hide. layers are in the order of an
// image, the lowest first.
func Inherit(dir string, implied, layers []string) error {
	in := &inheriting{dir: dir, layers: layers, implied: map[string]bool{}, made: map[string]bool{}}
	for _, name := range implied {
		in.implied[name] = true
	}
	var times []func() error
	for _, name := range implied {
		if at := in.find(name); at != "" {
			set, err := in.make(name, at)
			if err != nil {
				return about("inherit", name, err)
			}
			times = append(times, set...)
		}
	}
	for _, set := range slices.Backward(times) { // when nothing is made in it any more
		if err := set(); err != nil {
			return err
		}
	}
	return in.owners()
}

type inheriting struct {
	dir     string
	layers  []string
	implied map[string]bool
	made    map[string]bool
}

// find returns the layer that has a directory as it should be, or "".
func (in *inheriting) find(name string) string {
	layers := in.layers
	if in.implied[name] {
		layers = layers[:len(layers)-1]
	}
	for _, layer := range slices.Backward(layers) {
		found, hidden := lookUp(layer, name)
		if found {
			return layer
		}
		if hidden {
			break
		}
	}
	return ""
}

// lookUp reports whether a layer has a directory, and whether it hides what lower layers have there.
func lookUp(layer, name string) (found, hidden bool) {
	at := layer
	for part := range strings.SplitSeq(name, "/") {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if err != nil {
			return false, hidden
		}
		if !info.IsDir() { // a whiteout, or a file
			return false, true
		}
		hidden = hidden || isOpaque(at)
	}
	return true, hidden
}

func isOpaque(dir string) bool {
	value := make([]byte, 1)
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if n, err := unix.Lgetxattr(dir, name, value); err == nil && string(value[:n]) == "y" {
			return true
		}
	}
	return false
}

// make makes a directory as a layer has it, and before that those that it is in.
func (in *inheriting) make(name, layer string) (times []func() error, err error) {
	if in.made[name] {
		return nil, nil
	}
	if parent := path.Dir(name); parent != "." {
		if at := in.find(parent); at != "" {
			if times, err = in.make(parent, at); err != nil {
				return nil, err
			}
		}
	}
	in.made[name] = true
	from, to := filepath.Join(layer, name), filepath.Join(in.dir, name)
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil && err != unix.EPERM {
		return nil, err
	}
	if err := errors.Join(copyXattrs(from, to), unix.Chmod(to, st.Mode&0o7777)); err != nil {
		return nil, err
	}
	return append(times, func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Mtim, st.Mtim}, 0)
	}), nil
}

// copyXattrs copies the attributes that belong to a file, and not to overlay.
func copyXattrs(from, to string) error {
	fd, err := unix.Open(from, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	names, err := files.Xattrs(fd)
	for _, name := range names {
		if !files.Portable(name) {
			continue
		}
		value, errXattr := files.Xattr(fd, name)
		if errXattr == nil {
			errXattr = unix.Setxattr(to, name, []byte(value), 0)
		}
		if errXattr != unix.EPERM && errXattr != unix.ENOTSUP {
			err = errors.Join(err, errXattr)
		}
	}
	return err
}

// owners writes what the directories should be and cannot, as the layers that they are from say it.
func (in *inheriting) owners() error {
	w := NewOwnersWriter(in.dir)
	for name := range in.made {
		entries, err := ReadOwners(in.find(name) + OwnersSuffix)
		if err != nil {
			return err
		}
		if o := entries[name]; o != nil {
			if err := w.Add(name, o); err != nil {
				return err
			}
		}
	}
	return w.Close()
}
