// /proc/self/mountinfo, as proc_pid_mountinfo(5) has it: a line a mount, in the order in
// which they were mounted.
package host

import (
	"path"
	"strconv"
	"strings"
)

// mountPoint is one line:
//
//	36 35 98:0 /sub /mnt rw,noatime master:1 - ext4 /dev/root rw,errors=continue
type mountPoint struct {
	root   string   // the directory of the file system that is mounted: /sub
	dir    string   // where: /mnt
	peers  []string // how mounts spread from here: master:1
	fstype string
	super  []string // options of the file system
}

// mounts skips lines that are not as they should be.
func (h *Host) mounts() (all []mountPoint) {
	for _, line := range h.lines("/proc/self/mountinfo") {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 3 {
			continue
		}
		all = append(all, mountPoint{root: Unescape(l[3]), dir: Unescape(l[4]),
			peers: l[6:], fstype: r[0], super: strings.Split(r[2], ",")})
	}
	return all
}

// Unescape turns \040 back into a space: the kernel writes so what would break a line apart.
func Unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountOf is the mount that holds a directory: the deepest, and the last of those in one place.
func (h *Host) mountOf(dir string) (found mountPoint) {
	for _, m := range h.mounts() {
		if within(dir, m.dir) && len(m.dir) >= len(found.dir) {
			found = m
		}
	}
	return found
}

// within is true for dir itself and what is below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(path.Clean(dir), "/")+"/")
}
