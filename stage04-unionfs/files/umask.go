package files

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Umask returns the process's umask. umask(2) would set another one for a moment, also for the files that
// other goroutines make meanwhile.
func Umask() (fs.FileMode, error) {
	const path = "/proc/self/status"
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nUmask:\t")
	text, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return 0, fmt.Errorf("find the umask in %s: %w", path, err)
	}
	return fs.FileMode(mask), nil
}
