package dockerfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ParseModes parses the value of --chmod, which has the form of chmod(1): octal, or symbolic such
// as u=rwX,go=rX. The function that it returns changes the mode of a file, as in stat(2).
func ParseModes(text string) (func(mode uint32) uint32, error) {
	if number, err := strconv.ParseUint(text, 8, 12); err == nil {
		return func(mode uint32) uint32 { return mode&unix.S_IFMT | uint32(number) }, nil
	}
	var changes []func(uint32) uint32
	for clause := range strings.SplitSeq(text, ",") {
		at := strings.IndexAny(clause, "+-=")
		if at < 0 || strings.Trim(clause[:at], "ugoa") != "" ||
			strings.Trim(clause[at:], "+-=rwxXstugo") != "" {
			return nil, fmt.Errorf("%s: give a mode such as 755, or u=rwX,go=rX", text)
		}
		var who uint32 // the bits that it is about
		for _, c := range cmp.Or(clause[:at], "a") {
			who |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
		}
		for rest := clause[at:]; rest != ""; {
			end := 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], "rwxXstugo"))
			changes = append(changes, changeMode(who, rest[0], rest[1:end]))
			rest = rest[end:]
		}
	}
	return func(mode uint32) uint32 {
		for _, change := range changes {
			mode = change(mode)
		}
		return mode
	}, nil
}

// changeMode adds, removes or sets permissions among the bits of who. X is x for directories,
// and for files that are executable already; u, g and o are the permissions these have already.
func changeMode(who uint32, operator byte, permissions string) func(uint32) uint32 {
	return func(mode uint32) uint32 {
		var bits uint32
		for _, p := range permissions {
			bits |= map[rune]uint32{'r': 0o444, 'w': 0o222, 'x': 0o111, 's': 0o6000, 't': 0o1000,
				'u': mode >> 6 & 7 * 0o111, 'g': mode >> 3 & 7 * 0o111, 'o': mode & 7 * 0o111}[p]
			if p == 'X' && (mode&unix.S_IFMT == unix.S_IFDIR || mode&0o111 != 0) {
				bits |= 0o111
			}
		}
		switch bits &= who; operator {
		case '+':
			return mode | bits
		case '-':
			return mode &^ bits
		}
		return mode&^who | bits
	}
}
