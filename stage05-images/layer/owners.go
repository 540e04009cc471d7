// The owners file beside a layer lists what its files should be and cannot. An ordinary user can
// neither give files to another user nor make devices (chown(2), mknod(2)). A layer has an owners
// file only if it needs one. There is a line for each file that could not be made as it should be,
// and one for each further hard link to it:
//
//	file UID GID HAVE:WANT MAJOR:MINOR XATTRS "path"
//	link "target" "path"
//	implied "path"
//
// HAVE is the octal mode that the file got, WANT the one that it should have, with the kind of file
// before it (20666 is of a character device) where an empty file stands for a device. XATTRS is
// name=value&name=value as in a URL, or "-" for none. Paths are quoted as in Go. The last line
// about a path counts. A line with implied is about a directory that the stream did not list. Pack
// puts all this into the headers that it writes, so that a layer which an ordinary user unpacks and
// packs again has the owners that it came with.

package layer

import (
	"archive/tar"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/subid"
	"stagebox/stage04-unionfs/files"
)

// OwnersSuffix is added to the name of a layer's directory for its owners file.
const OwnersSuffix = ".owners"

// Owner is an entry of an owners file: the owner that a file should have, and more.
type Owner struct {
	UID, GID     int
	Have, Want   uint32     // the mode that the file got, and the one that it should have
	Major, Minor uint32     // of the device that it should be
	Xattrs       url.Values // extended attributes that it should have
}

// OwnersWriter writes the owners file of a layer. Without entries, there is no file.
type OwnersWriter struct {
	path   string
	text   *os.File
	buffer *bufio.Writer
	again  bool // a path came twice: from now on each gets a line, for its old one may be wrong
}

// NewOwnersWriter returns a writer for a layer's directory, which makes no file yet.
func NewOwnersWriter(dir string) *OwnersWriter { return &OwnersWriter{path: dir + OwnersSuffix} }

// Add writes the entry of a file, by its path in the layer.
func (w *OwnersWriter) Add(path string, o *Owner) error {
	return w.line("file %d %d %o:%o %d:%d %s %q\n",
		o.UID, o.GID, o.Have, o.Want, o.Major, o.Minor, cmp.Or(o.Xattrs.Encode(), "-"), path)
}

// link writes that a path is another name of target.
func (w *OwnersWriter) link(target, path string) error {
	if w.text == nil { // the target has no line
		return nil
	}
	return w.line("link %q %q\n", target, path)
}

// implied writes which directories the layer's stream did not list.
func (w *OwnersWriter) implied(names map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := w.line("implied %q\n", name); err != nil {
			return err
		}
	}
	return nil
}

// impliedLine reads such a line.
func impliedLine(line string) (name string, ok bool, err error) {
	if !strings.HasPrefix(line, "implied ") {
		return "", false, nil
	}
	_, err = fmt.Sscanf(line, "implied %q", &name)
	return name, true, about("read the line", line, err)
}

func (w *OwnersWriter) line(format string, args ...any) (err error) {
	if w.text == nil {
		w.text, err = os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		w.buffer = bufio.NewWriter(w.text)
	}
	_, err = fmt.Fprintf(w.buffer, format, args...)
	return about("write", w.path, err)
}

// Close ends the owners file, if there is one.
func (w *OwnersWriter) Close() error {
	if w.text == nil {
		return nil
	}
	return errors.Join(w.buffer.Flush(), w.text.Close())
}

// ReadOwners reads the owners files of layers, the top one first, and returns their entries by path.
// They may be missing. An entry may be nil: then its path is another name of a file without a line.
func ReadOwners(paths ...string) (map[string]*Owner, error) {
	owners := map[string]*Owner{}
	for _, path := range slices.Backward(paths) {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for err == nil && lines.Scan() {
			err = readOwner(lines.Text(), owners)
		}
		if err := errors.Join(err, lines.Err(), file.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return owners, nil
}

func readOwner(line string, owners map[string]*Owner) error {
	o := &Owner{}
	var name, target, xattrs string
	if _, ok, err := impliedLine(line); ok {
		return err
	}
	if strings.HasPrefix(line, "link ") {
		_, err := fmt.Sscanf(line, "link %q %q", &target, &name)
		owners[name] = owners[target]
		return about("read the line", line, err)
	}
	_, err := fmt.Sscanf(line, "file %d %d %o:%o %d:%d %s %q",
		&o.UID, &o.GID, &o.Have, &o.Want, &o.Major, &o.Minor, &xattrs, &name)
	if err == nil && xattrs != "-" {
		o.Xattrs, err = url.ParseQuery(xattrs)
	}
	owners[name] = o
	return about("read the line", line, err)
}

// Restore makes a file's header what it should be. Mode and kind are left alone if they have
// changed since.
func (o *Owner) Restore(h *tar.Header) {
	h.Uid, h.Gid = o.UID, o.GID
	kind := o.Want & unix.S_IFMT
	if uint32(h.Mode) == o.Have && (kind == 0 || h.Typeflag == tar.TypeReg && h.Size == 0) {
		h.Mode = int64(o.Want & 0o7777)
		if kind != 0 {
			h.Typeflag, _ = files.TarType(kind)
			h.Devmajor, h.Devminor = int64(o.Major), int64(o.Minor)
		}
	}
	for name, values := range o.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[files.XattrPrefix+name] = values[0]
	}
}

// InheritOwners adds to the owners file of a new layer the entries of the layers below it for files
// that it has too. below are their owners files, the top one first. Where an ordinary user has many
// ids, the files themselves have their owners. (Only a later stage makes layers that need this.)
func InheritOwners(dir string, below ...string) error {
	if subid.HasMany() {
		return nil
	}
	owners, err := ReadOwners(append([]string{dir + OwnersSuffix}, below...)...)
	if err != nil || len(owners) == 0 {
		return err
	}
	w := NewOwnersWriter(dir)
	err = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		path, errRel := filepath.Rel(dir, name)
		if o := owners[path]; err == nil && o != nil {
			err = w.Add(path, o)
		}
		return errors.Join(err, errRel)
	})
	return errors.Join(err, w.Close())
}

// SetOwners gives the files of a layer the owners, modes and attributes in its owners file. The
// caller is root, perhaps of a user namespace. Entries that the kernel refuses stay in the file.
func SetOwners(dir string) error {
	text := dir + OwnersSuffix
	owners, err := ReadOwners(text)
	if err != nil {
		return err
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", dir, err)
	}
	defer unix.Close(root)
	left := &OwnersWriter{path: text + ".left"}
	implied, err := Implied(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		o := owners[name]
		if o == nil || o.set(root, name) == nil {
			continue
		}
		if err := left.Add(name, o); err != nil {
			return err
		}
	}
	for _, name := range implied {
		if err := left.line("implied %q\n", name); err != nil {
			return err
		}
	}
	if err := left.Close(); err != nil {
		return err
	}
	if err := os.Rename(left.path, text); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Remove(text) // all is as it should be
}

// set makes a file what it should be. The mode comes last: chown(2) takes setuid away.
func (o *Owner) set(root int, name string) error {
	if o.Want&unix.S_IFMT != 0 {
		return fmt.Errorf("%q: a device cannot be made inside", name)
	}
	fd, err := files.OpenBeneath(root, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	err = unix.Fchownat(fd, "", o.UID, o.GID, unix.AT_EMPTY_PATH)
	if err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return err
	}
	for key, values := range o.Xattrs {
		if err := unix.Setxattr(files.FDPath(fd), key, []byte(values[0]), 0); err != nil {
			return err
		}
	}
	mode := st.Mode & 0o7777
	if mode == o.Have {
		mode = o.Want
	}
	return unix.Chmod(files.FDPath(fd), mode)
}

// OwnersOf returns the owners files of layers, in the same order.
func OwnersOf(layers []string) []string {
	var list []string
	for _, dir := range layers {
		list = append(list, dir+OwnersSuffix)
	}
	return list
}
