package copyup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage04-unionfs/union"
)

// rootEntries are appended to passwd and group: root is known even if they are missing.
var rootEntries = map[string]string{
	"/etc/passwd": "\nroot:x:0:0:root:/root:/bin/sh\n",
	"/etc/group":  "\nroot:x:0:\n",
}

// ParseOwner reads USER[:GROUP], by the names of passwd(5) and group(5) in the layers. The group of
// a number alone is the same number. A third field, which passwd.Lookup ignores as Docker does in
// USER, is refused as Docker does here.
func ParseOwner(layers *union.FS, text string) (Owner, error) {
	if strings.Count(text, ":") > 1 {
		return Owner{}, errors.New("want USER or USER:GROUP")
	}
	user, err := passwd.Lookup(func(name string) ([]byte, error) {
		data, err := readSmall(layers, name)
		return append(data, rootEntries[name]...), err
	}, text)
	if err != nil {
		return Owner{}, err
	}
	name, group, _ := strings.Cut(text, ":")
	if _, err := passwd.ParseID(name); err == nil && group == "" {
		return Owner{UID: user.UID, GID: user.UID}, nil
	}
	return Owner{UID: user.UID, GID: user.GID}, nil
}

// readSmall reads a file of a union; one that is missing is empty.
func readSmall(u *union.FS, name string) ([]byte, error) {
	n, err := u.Find(name, true)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !n.Is(unix.S_IFREG) || n.Size > passwd.MaxSize {
		return nil, fmt.Errorf("%s is not a file of up to %d bytes", name, passwd.MaxSize)
	}
	fd, err := n.Open(unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	return io.ReadAll(file)
}
