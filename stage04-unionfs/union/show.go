package union

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// lowers are file systems of which an overlay can surely be made. Others may be overlays
// themselves, compare names in ways of their own, or belong to another machine.
var lowers = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC}

// CanShow reports whether an overlay can have a directory of the caller's, whose path holds no
// link, as a lower one beside another: it is on a file system that is fit for it, neither of the
// two is inside the other, and no file system is mounted below, which an overlay would not show.
func CanShow(dir, beside string) bool {
	var fs unix.Statfs_t
	beside, err := filepath.EvalSymlinks(beside)
	if err != nil || unix.Statfs(dir, &fs) != nil || !slices.Contains(lowers, int64(fs.Type)) {
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || isIn(dir, beside) || isIn(beside, dir) {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && isIn(unescape.Replace(fields[4]), dir) && unescape.Replace(fields[4]) != dir {
			return false
		}
	}
	return true
}

// unescape reads a path in mountinfo (proc(5)).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func isIn(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
