// A tar stream of files, in the pax format (pax(1), tar(5)): for each file a header block,
// records for what does not fit into it (long names, fractions of seconds, extended
// attributes), and the content. The same files give the same bytes on any machine. Each
// file is named by a descriptor that was opened without following a link, because whoever
// owns the tree may put a link in the place of a directory while it is read (openat2(2)).
package main

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// archive is a tar stream while it is written.
type archive struct {
	tar    *tar.Writer
	out    *bufio.Writer
	names  map[inode]string // of files that have several, the one that came first
	buffer []byte
}

// inode tells files apart, whatever they are called.
type inode struct{ dev, ino uint64 }

func newArchive(w io.Writer) *archive {
	out := bufio.NewWriterSize(w, 1<<20)
	return &archive{tar.NewWriter(out), out, map[inode]string{}, make([]byte, 1<<18)}
}

// add writes the file that fd refers to, an O_PATH|O_NOFOLLOW descriptor. The name is the
// path inside, such as etc/passwd. A socket is left out: tar has no type for one, and
// without its server it is nothing.
func (a *archive) add(name string, fd int) error {
	header, id, err := describe(name, fd)
	if err != nil || header == nil {
		return err
	}
	return a.write(header, id, fd)
}

// write writes a header, and the content of a file that no earlier entry has.
func (a *archive) write(header *tar.Header, id inode, fd int) error {
	if first := a.names[id]; first != "" {
		header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
		clear(header.PAXRecords)
	} else if id.ino != 0 {
		a.names[id] = header.Name
	}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("archive %q: %w", header.Name, err)
	}
	if header.Typeflag != tar.TypeReg || header.Size == 0 {
		return nil
	}
	return a.content(header, fd)
}

// content copies as many bytes as the header has announced.
func (a *archive) content(header *tar.Header, fd int) (err error) {
	restore, err := readable(fd)
	if err != nil {
		return fmt.Errorf("make %q readable: %w", header.Name, err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	file, err := os.Open(procFD(fd))
	if err != nil {
		return fmt.Errorf("open %q: %w", header.Name, err)
	}
	defer file.Close()
	for left := header.Size; left > 0; {
		n, err := file.Read(a.buffer[:min(left, int64(len(a.buffer)))])
		if err == io.EOF {
			return fmt.Errorf("read %q: it became shorter meanwhile; stop or pause the container, and try again", header.Name)
		}
		if err == nil {
			_, err = a.tar.Write(a.buffer[:n])
		}
		if err != nil {
			return fmt.Errorf("archive %q: %w", header.Name, err)
		}
		left -= int64(n)
	}
	return nil
}

// close ends the stream with the two empty blocks that tar wants.
func (a *archive) close() error {
	if err := a.tar.Close(); err != nil {
		return fmt.Errorf("end of the archive: %w", err)
	}
	if err := a.out.Flush(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// tarTypes are the kinds of files that tar knows (inode(7)).
var tarTypes = map[uint32]byte{unix.S_IFREG: tar.TypeReg, unix.S_IFDIR: tar.TypeDir, unix.S_IFLNK: tar.TypeSymlink,
	unix.S_IFCHR: tar.TypeChar, unix.S_IFBLK: tar.TypeBlock, unix.S_IFIFO: tar.TypeFifo}

// describe makes the header of a file; it is nil for a socket. The inode is zero unless the
// file has several names.
func describe(name string, fd int) (*tar.Header, inode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, inode{}, fmt.Errorf("stat %q: %w", name, err)
	}
	kind, known := tarTypes[st.Mode&unix.S_IFMT]
	if !known {
		return nil, inode{}, nil
	}
	h := &tar.Header{Format: tar.FormatPAX, Typeflag: kind, Name: name, Mode: int64(st.Mode & 0o7777),
		Uid: insideID(st.Uid, os.Geteuid()), Gid: insideID(st.Gid, os.Getegid()), ModTime: time.Unix(st.Mtim.Unix())}
	var id inode
	if kind != tar.TypeDir && st.Nlink > 1 {
		id = inode{uint64(st.Dev), st.Ino}
	}
	var err error
	switch kind {
	case tar.TypeDir:
		h.Name += "/"
	case tar.TypeReg:
		h.Size = st.Size
	case tar.TypeSymlink:
		h.Linkname, err = readLink(fd)
	case tar.TypeChar, tar.TypeBlock:
		h.Devmajor, h.Devminor = int64(unix.Major(uint64(st.Rdev))), int64(unix.Minor(uint64(st.Rdev)))
	}
	if err == nil && (kind == tar.TypeReg || kind == tar.TypeDir) {
		h.PAXRecords, err = xattrs(fd)
	}
	if err != nil {
		return nil, id, fmt.Errorf("read %q: %w", name, err)
	}
	return h, id, nil
}

// insideID is an owner as the container sees it: what an ordinary user owns is root's there.
func insideID(id uint32, caller int) int {
	if int(id) == caller {
		return 0
	}
	return int(id)
}

func readLink(fd int) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", target)
	return string(target[:max(n, 0)]), err
}

// xattrPrefix is how tar(5) names the records of extended attributes.
const xattrPrefix = "SCHILY.xattr."

// portable tells whether an extended attribute belongs to the file, and not to this host:
// to its overlay above all, which would believe what a stranger writes there.
func portable(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// xattrs returns the portable attributes of a file as pax records.
func xattrs(fd int) (map[string]string, error) {
	list, err := readXattr(fd, "")
	if list == "" || err != nil {
		return nil, err
	}
	records := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		if !portable(name) {
			continue
		}
		value, err := readXattr(fd, name)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("getxattr %s: %w", name, err)
		}
		if name == "security.capability" {
			value = withoutRootID(value)
		}
		records[xattrPrefix+name] = value
	}
	return records, nil
}

// readXattr returns the value of an attribute, or the list of all names when name is empty.
// An O_PATH descriptor has none, but the link of /proc to it leads to the file itself.
func readXattr(fd int, name string) (string, error) {
	file := procFD(fd)
	get := func(value []byte) (int, error) {
		if name == "" {
			return unix.Listxattr(file, value)
		}
		return unix.Getxattr(file, name, value)
	}
	for {
		size, err := get(nil)
		if errors.Is(err, unix.ENOTSUP) {
			return "", nil // the file system has none
		}
		if size == 0 || err != nil {
			return "", err
		}
		value := make([]byte, size)
		size, err = get(value)
		if !errors.Is(err, unix.ERANGE) { // it has grown between the two calls
			return string(value[:max(size, 0)]), err
		}
	}
}

// withoutRootID takes the user namespace out of a file's capabilities (version 3, vfs_cap_data
// in linux/capability.h): it means something on one host only. The rest is version 2.
func withoutRootID(value string) string {
	const version2, version3, size2, size3 = 0x02000000, 0x03000000, 20, 24
	if len(value) != size3 {
		return value
	}
	data := []byte(value)
	if magic := binary.LittleEndian.Uint32(data); magic&0xff000000 == version3 {
		binary.LittleEndian.PutUint32(data, magic&0x00ffffff|version2)
		return string(data[:size2])
	}
	return value
}

func procFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// readable lets an ordinary user read a file or directory of his own that he has taken the
// right to read from, until it is restored: root in a container reads it all the same.
func readable(fd int) (restore func() error, err error) {
	nothing := func() error { return nil }
	if os.Geteuid() == 0 {
		return nothing, nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return nil, err
	}
	mode := st.Mode & 0o7777
	if int(st.Uid) != os.Geteuid() || mode&0o500 == 0o500 || mode&0o400 != 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
		return nothing, nil
	}
	return func() error { return unix.Chmod(procFD(fd), mode) }, unix.Chmod(procFD(fd), mode|0o500)
}

// openBeneath opens a file below a directory. No link is followed, nothing is looked for
// outside of the directory or on another mount: such a path is an error (ELOOP, EXDEV).
func openBeneath(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	return unix.Openat2(dir, name, &how)
}

// walkTree visits every file below a directory: by name, a directory before what is in it.
// The descriptor that visit gets is O_PATH|O_NOFOLLOW, and closed afterwards. A file that
// vanishes meanwhile is left out.
func walkTree(dir int, visit func(name string, fd int) error) error {
	return walkBelow(dir, "", visit)
}

func walkBelow(dir int, prefix string, visit func(name string, fd int) error) (err error) {
	restore, err := readable(dir)
	if err != nil {
		return fmt.Errorf("make the directory %q readable: %w", path.Clean(prefix), err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	names, err := namesIn(dir)
	if err != nil {
		return fmt.Errorf("read the directory %q: %w", path.Clean(prefix), err)
	}
	for _, name := range names {
		if err := walkEntry(dir, prefix, name, visit); err != nil {
			return err
		}
	}
	return nil
}

func walkEntry(dir int, prefix, name string, visit func(name string, fd int) error) error {
	inside := path.Join(prefix, name)
	fd, err := openBeneath(dir, name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("open %q: something is mounted there, which is not part of this tree: unmount it, or leave the mount out (open_tree(2) without AT_RECURSIVE)", inside)
	}
	if err != nil {
		return fmt.Errorf("open %q: %w", inside, err)
	}
	defer unix.Close(fd)
	if err := visit(inside, fd); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("stat %q: %w", inside, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return walkBelow(fd, inside, visit)
}

// namesIn returns what is in a directory, in the order of its bytes.
func namesIn(dir int) ([]string, error) {
	file, err := os.Open(procFD(dir))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
