package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// XattrPrefix begins the names of the pax records that hold extended attributes (tar(5)).
const XattrPrefix = "SCHILY.xattr."

// Portable reports whether an extended attribute belongs to the file, and not to this host:
// its overlay above all would believe what a stranger has written there.
func Portable(name string) bool {
	return name == "security.capability" ||
		strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// XattrRecords returns the portable attributes of a file as pax records.
func XattrRecords(fd int) (map[string]string, error) {
	names, err := Xattrs(fd)
	if len(names) == 0 || err != nil {
		return nil, err
	}
	records := map[string]string{}
	for _, name := range names {
		if !Portable(name) {
			continue
		}
		value, err := Xattr(fd, name)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("getxattr %s: %w", name, err)
		}
		if name == "security.capability" {
			value = withoutRootID(value)
		}
		records[XattrPrefix+name] = value
	}
	return records, nil
}

// Xattrs returns the names of a file's extended attributes (xattr(7)): none where the file
// system has none.
func Xattrs(fd int) ([]string, error) {
	list, err := readXattr(fd, "")
	if list == "" || err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(list, "\x00"), "\x00"), nil
}

// Xattr returns the value of an extended attribute. A file that lacks it gives ENODATA.
func Xattr(fd int, name string) (string, error) { return readXattr(fd, name) }

// readXattr returns the value of an attribute, or the list of all names when name is empty.
// An O_PATH descriptor has none, but the link of /proc to it leads to the file itself.
func readXattr(fd int, name string) (string, error) {
	file := FDPath(fd)
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
