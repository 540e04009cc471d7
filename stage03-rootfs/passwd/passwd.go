// Package passwd looks a user up in the files passwd(5) and group(5) of a container's root.
// That root may be hostile: its files may be malformed, endless, or not files at all.
// moby/sys/user is not used, because it accepts malformed numbers.
package passwd

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
)

// User is what the kernel needs to know of a user, and its home directory.
type User struct {
	UID, GID int
	Groups   []int // supplementary ones
	Home     string
}

// Lookup finds the user that spec names, such as "app", "1000", "app:staff" or ":50"; no user
// is user 0. As in Docker, a number is always an id, even if a user or group has it for a name.
// Numbers need no entry: such a user has group 0 and the home /root if it is user 0, or / if it
// is not. If a group is named, the user has no supplementary ones. Docker does not read on after a
// second colon, and neither does this. read returns a file of the root, empty if there is none.
func Lookup(read func(name string) ([]byte, error), spec string) (User, error) {
	users, err := read("/etc/passwd")
	if err != nil {
		return User{}, err
	}
	groups, err := read("/etc/group")
	if err != nil {
		return User{}, err
	}
	u := User{Home: "/root"}
	user, group, _ := strings.Cut(spec, ":")
	group, _, _ = strings.Cut(group, ":")
	if user == "" {
		user = "0"
	}
	f, err := named(users, "user", user, passwdIDs)
	if err != nil {
		return u, err
	}
	if u.UID, _ = ParseID(f[2]); f[3] != "" {
		u.GID, _ = ParseID(f[3])
		u.Home = cmp.Or(f[5], "/")
	} else if u.UID != 0 {
		u.Home = "/"
	}
	if group == "" {
		u.Groups = memberOf(groups, f[0])
		return u, nil
	}
	f, err = named(groups, "group", group, groupIDs)
	u.GID, _ = ParseID(f[2])
	return u, err
}

// Groups returns the ids of groups, which are names or numbers.
func Groups(read func(name string) ([]byte, error), list []string) (ids []int, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	file, err := read("/etc/group")
	for _, group := range list {
		f, err := named(file, "group", group, groupIDs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", group, err)
		}
		id, _ := ParseID(f[2])
		ids = append(ids, id)
	}
	return ids, err
}

// The fields that must be numbers: glibc ignores a line otherwise. Any later ones may be missing.
var passwdIDs, groupIDs = []int{2, 3}, []int{2}

// named returns the fields of the first entry with a name or a number. For a number that no entry
// has, the others are empty. kind is for errors.
func named(file []byte, kind, text string, ids []int) ([]string, error) {
	number, err := strconv.Atoi(text)
	field, isNumber := 0, !errors.Is(err, strconv.ErrSyntax)
	if isNumber && (err != nil || number < 0 || number > math.MaxInt32) {
		return make([]string, 7), fmt.Errorf("an id is a number from 0 to %d", math.MaxInt32)
	}
	if isNumber {
		field, text = 2, strconv.Itoa(number)
	}
	for f := range entries(file, ids) {
		if f[field] == text {
			return f, nil
		}
	}
	if isNumber {
		return []string{2: text, 6: ""}, nil
	}
	place := map[string]string{"user": "passwd", "group": "group"}[kind]
	return make([]string, 7), fmt.Errorf("no such %s in the container's /etc/%s; a number needs no entry there", kind, place)
}

// entries yields the fields of every line, seven of them, as glibc reads it: blanks in front do
// not count, and fields at the end may be missing. Ids are in their shortest form.
func entries(file []byte, ids []int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(string(file)) {
			line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
			f := append(strings.Split(line, ":"), make([]string, 7)...)
			isEntry := line != "" && line[0] != '#'
			for _, i := range ids {
				id, err := ParseID(strings.TrimLeft(f[i], " \t"))
				f[i], isEntry = strconv.Itoa(id), isEntry && err == nil
			}
			if isEntry && !yield(f[:7]) {
				return
			}
		}
	}
}

// memberOf returns the groups that list a user.
func memberOf(groups []byte, user string) []int {
	var ids []int
	for f := range entries(groups, groupIDs) {
		isMember := func(name string) bool { return user != "" && strings.TrimSpace(name) == user }
		if slices.ContainsFunc(strings.Split(f[3], ","), isMember) {
			id, _ := ParseID(f[2])
			ids = append(ids, id)
		}
	}
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
// FIFO or a device can do something to the host, so what is not a regular file, or is larger than
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
	file, err := rawfile.Open(link, unix.O_RDONLY, 0)
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
