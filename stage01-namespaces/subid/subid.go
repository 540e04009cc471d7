// Package subid reads /etc/subuid and /etc/subgid (subuid(5)): which ids of the host a user
// may map into a user namespace, if newuidmap(1) and newgidmap(1) can do it. A malformed line is an
// error. moby/sys/user is not used, because it accepts malformed numbers.
package subid

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// Range is Count ids of the host, from Start on.
type Range struct{ Start, Count uint32 }

// Grants returns the ranges of users and groups that the caller may map besides itself: both, or
// neither. Root maps them itself, others need the setuid programs.
func Grants() (uids, gids []Range, err error) {
	uid := os.Geteuid()
	who, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		who = &user.User{Username: strconv.Itoa(uid)}
	}
	if uids, err = Read("/etc/subuid", who.Username, uid); err != nil {
		return nil, nil, err
	}
	if gids, err = Read("/etc/subgid", who.Username, uid); err != nil {
		return nil, nil, err
	}
	_, errUID := exec.LookPath("newuidmap")
	_, errGID := exec.LookPath("newgidmap")
	if len(uids) == 0 || len(gids) == 0 || uid != 0 && (errUID != nil || errGID != nil) {
		return nil, nil, nil
	}
	return uids, gids, nil
}

// Read returns the ranges that the file at path grants to a user, in the order of its lines;
// none if there is no such file.
func Read(path, name string, uid int) ([]Range, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ranges, err := Parse(f, name, uid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ranges, nil
}

// Parse reads lines "user:start:count". The user of a line is a name or a number; lines of
// other users are skipped, whatever they hold.
func Parse(r io.Reader, name string, uid int) ([]Range, error) {
	var ranges []Range
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if fields[0] != name && fields[0] != strconv.Itoa(uid) {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: %q is not user:start:count", n, lines.Text())
		}
		start, err1 := strconv.ParseUint(fields[1], 10, 32)
		count, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 != nil || err2 != nil || count == 0 || start+count > 1<<32-1 {
			return nil, fmt.Errorf("line %d: %q is not a range of 32-bit ids", n, lines.Text())
		}
		ranges = append(ranges, Range{uint32(start), uint32(count)})
	}
	return ranges, lines.Err()
}

// HasMany reports whether the caller is an ordinary user whose containers have many users. Only later
// stages use it.
func HasMany() bool {
	if os.Geteuid() == 0 {
		return false
	}
	uids, _, err := Grants()
	return err == nil && len(uids) > 0
}

// Sum is how many ids there are in all ranges. Only later stages use it.
func Sum(ranges []Range) (count uint64) {
	for _, r := range ranges {
		count += uint64(r.Count)
	}
	return count
}
