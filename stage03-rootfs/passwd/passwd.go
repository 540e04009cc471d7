// Package passwd looks a user up in the files passwd(5) and group(5) of a container's root.
// That root may be hostile: its files may be malformed, endless, or not files at all.
// moby/sys/user is not used, because it accepts malformed numbers.
package passwd

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// User is what the kernel needs to know of a user, and its home directory.
type User struct {
	UID, GID int
	Groups   []int // supplementary ones
	Home     string
}

// Lookup finds the user that spec names, such as "app", "1000", "app:staff" or ":50"; no user
// is user 0. Each part is a name or, if no entry has that name, a number. Numbers need no
// entry: such a user has group 0 and the home /root if it is user 0, or / if it is not. If a
// group is named, the user has no supplementary ones. read returns a file of the root, empty
// if there is none.
func Lookup(read func(name string) ([]byte, error), spec string) (User, error) {
	passwd, err := read("/etc/passwd")
	if err != nil {
		return User{}, err
	}
	groups, err := read("/etc/group")
	if err != nil {
		return User{}, err
	}
	u := User{Home: "/root"}
	user, group, _ := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	if entry := named(passwd, user, 7); entry != nil {
		u.Home, user = entry[5], entry[2]
		if group == "" {
			group, u.Groups = entry[3], memberOf(groups, entry[0])
		}
	} else if user != "0" {
		u.Home = "/"
	}
	if entry := named(groups, group, 3); entry != nil {
		group = entry[2]
	}
	return u, u.setIDs(user, group)
}

func (u *User) setIDs(user, group string) (err error) {
	if u.UID, err = ParseID(user); err != nil {
		return fmt.Errorf("there is no user %q in the container's /etc/passwd; a number needs no entry there", user)
	}
	if u.GID, err = ParseID(group); group != "" && err != nil {
		return fmt.Errorf("there is no group %q in the container's /etc/group; a number needs no entry there", group)
	}
	return nil
}

// named returns the fields of the entry with a name or, if there is none, with a number.
func named(file []byte, text string, fields int) []string {
	if entry := find(file, fields, func(f []string) bool { return f[0] == text }); entry != nil {
		return entry
	}
	return find(file, fields, func(f []string) bool { return f[2] == text })
}

// find returns the first line with at least so many fields that is wanted.
func find(file []byte, fields int, wanted func([]string) bool) []string {
	for line := range strings.Lines(string(file)) {
		if f := strings.Split(strings.TrimRight(line, "\r\n"), ":"); len(f) >= fields && wanted(f) {
			return f
		}
	}
	return nil
}

// memberOf returns the groups that list a user.
func memberOf(groups []byte, user string) []int {
	var ids []int
	find(groups, 4, func(f []string) bool {
		if id, err := ParseID(f[2]); err == nil && slices.Contains(strings.Split(f[3], ","), user) {
			ids = append(ids, id)
		}
		return false
	})
	return ids
}

// ParseID reads the number of a user or group, of at most 31 bits.
func ParseID(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// MaxSize is the largest file that ReadFile reads.
const MaxSize = 1 << 20

// ReadFile reads the file that an O_PATH descriptor refers to; name is for errors. To open a
// FIFO or a device can do something to the host, so what is no regular file, or is larger than
// a megabyte, is refused before it is opened.
func ReadFile(fd int, name string) ([]byte, error) {
	link := "/proc/self/fd/" + strconv.Itoa(fd)
	info, err := os.Stat(link)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxSize {
		return nil, fmt.Errorf("%s in the root is not a file of up to %d bytes, so no user can be looked up in it", name, MaxSize)
	}
	file, err := os.Open(link)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, info.Size())
	n, err := file.ReadAt(data, 0)
	if n < len(data) {
		return nil, fmt.Errorf("%s in the root: %w", name, err)
	}
	return data, nil
}
