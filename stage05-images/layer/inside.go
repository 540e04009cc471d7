package layer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"stagebox/stage01-namespaces/subid"
)

// Inside runs this program once more with the words after "inside", by which it enters a user
// namespace with all of an ordinary user's ids, and does something to a layer there. Its output goes
// to out, and the error is the one that it prints.
func Inside(out io.Writer, words ...string) error {
	var stderr bytes.Buffer
	box := exec.Command("/proc/self/exe", append([]string{"inside"}, words...)...)
	box.Stdout, box.Stderr = out, &stderr
	err := box.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "box: ")
		err = errors.New(cmp.Or(text, err.Error()))
	}
	return err
}

// FlattenInside copies the files of layers to an empty directory: as they are for root, who may give
// files away, and for an ordinary user by Flatten.
func FlattenInside(to string, layers []string) error {
	if os.Geteuid() == 0 {
		return Merge(to, layers)
	}
	return Inside(io.Discard, append([]string{"flatten", to}, layers...)...)
}

// OwnInside gives the files of a layer the owners in its owners file, as far as an ordinary user has
// ids for them.
func OwnInside(dir string) error {
	if _, err := os.Lstat(dir + OwnersSuffix); err != nil || !subid.HasMany() {
		return nil
	}
	return Inside(nil, "own", dir)
}

// PackInside is Pack for the files of an ordinary user too, which may have many owners.
func PackInside(w io.Writer, dir string, owners ...string) (Sum, error) {
	if !subid.HasMany() {
		return Pack(w, dir, owners...)
	}
	s := newSummer()
	err := Inside(io.MultiWriter(w, s), append([]string{"pack", dir}, owners...)...)
	return s.Sum(), err
}

// LowerTimesInside is LowerTimes for the files of an ordinary user too.
func LowerTimesInside(dir string, latest time.Time) error {
	if !subid.HasMany() {
		return LowerTimes(dir, latest)
	}
	return Inside(io.Discard, "times", dir, fmt.Sprint(latest.Unix()))
}
