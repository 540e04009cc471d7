package behave

import (
	"fmt"
	"os"
	"strings"
)

// The rows about what many runs leave behind: nothing. A namespace lives as long as a
// process or a mount keeps it, so where neither is left, no namespace is. A descriptor that
// something still holds shows in every row, as a run whose output does not end.

var leftoverRows = []Row{{
	Name: "many runs leave no process and no mount behind", Since: 1, Slow: true,
	Check:  manyRuns,
	Broken: `"$BOX" "$@"; sleep 1000 >/dev/null 2>&1 &`,
}}

// mounts are those outside, by id and mount point. Root's checks have a table of their own, to which
// no other process adds (apart.go). An ordinary user sees the host's: there only what is in the
// check's directories counts, since the rest may be another's.
func (b *Box) mounts() map[string]bool {
	table := map[string]bool{}
	for line := range strings.Lines(b.text(host + "/mountinfo")) {
		if fields := strings.Fields(line); os.Geteuid() == 0 || strings.Contains(line, b.place.dir) {
			table[fields[0]+" "+strings.TrimSuffix(fields[4], "//deleted")] = true
		}
	}
	return table
}

// newMounts is how many there are that there were not before. The others may go at any time: who
// removes a directory takes away what is mounted on it, in every table.
func (b *Box) newMounts(before map[string]bool) (n int) {
	for mount := range b.mounts() {
		if !before[mount] {
			n++
		}
	}
	return n
}

// manyRuns looks after the first run and after every hundredth: a hundred runs, or with Long a
// thousand.
func manyRuns(b *Box) Seen {
	const expected = "0 processes, 0 new mounts"
	before, saw, runs := b.mounts(), "", 100
	if b.place.Long {
		runs = 1000
	}
	for n := range runs {
		if ran := status(0, b.Run("run", "/bin/true")); !ran.Holds {
			return ran
		}
		if n != 0 && n%100 != 99 {
			continue
		}
		left, err := b.left()
		if err != nil {
			return failed(err)
		}
		if saw = fmt.Sprintf("%d processes, %d new mounts", len(left), b.newMounts(before)); saw != expected {
			break
		}
	}
	b.ran = []string{"box run /bin/true", fmt.Sprintf("… %d times", runs)}
	return same(expected, saw)
}
