// Package sumfile keeps the digests of files on the disk, each with what stat(2) said of the file when
// it was read. A line is "size mtime ctime inode digest path"; times are in nanoseconds since 1970,
// the digest is SHA-256 in hexadecimal, and the path is quoted as in Go. The lesson reads Stat.
package sumfile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"stagebox/stage04-unionfs/state"
)

// Stat is the part of stat(2) that changes when the content of a file does.
type Stat struct {
	Size, Mtime, Ctime int64
	Inode              uint64
}

// Sum is the digest of a file, and the result of stat(2) with which it is valid.
type Sum struct {
	Stat
	Digest string
}

// Read reads the digests of a file by the paths in it. What cannot be read is left out: it is
// computed again.
func Read(path string) map[string]Sum {
	known := map[string]Sum{}
	file, err := os.Open(path)
	if err != nil {
		return known
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, sum, ok := parse(lines.Text()); ok {
			known[name] = sum
		}
	}
	return known
}

func parse(line string) (name string, s Sum, ok bool) {
	f := strings.SplitN(line, " ", 6)
	if len(f) != 6 || len(f[4]) != 64 {
		return "", s, false
	}
	var errs [4]error
	s.Size, errs[0] = strconv.ParseInt(f[0], 10, 64)
	s.Mtime, errs[1] = strconv.ParseInt(f[1], 10, 64)
	s.Ctime, errs[2] = strconv.ParseInt(f[2], 10, 64)
	s.Inode, errs[3] = strconv.ParseUint(f[3], 10, 64)
	s.Digest = f[4]
	name, err := strconv.Unquote(f[5])
	return name, s, errors.Join(append(errs[:], err)...) == nil
}

// Write writes them, in the place of those before. A crash of the machine may lose them.
func Write(path string, known map[string]Sum) error {
	var b strings.Builder
	for name, s := range known {
		fmt.Fprintf(&b, "%d %d %d %d %s %q\n", s.Size, s.Mtime, s.Ctime, s.Inode, s.Digest, name)
	}
	return state.Write(path, []byte(b.String()), 0o600, state.Volatile)
}
