package behave

import (
	"fmt"
)

// The rows about what many runs leave behind: nothing. A namespace lives as long as a
// process or a mount keeps it, so where neither is left, no namespace is. A descriptor that something still
// holds shows in every row, as a run whose output does not end.

var leftoverRows = []Row{{
	Name: "a thousand runs leave no process and no mount behind", Since: 1, Slow: true,
	Check:  thousandRuns,
	Broken: `"$BOX" "$@"; sleep 1000 >/dev/null 2>&1 &`,
}}

// thousandRuns looks after 1, 10, 100 and 1000 runs.
func thousandRuns(b *Box) Seen {
	before := b.text(host + "/mountinfo")
	var saw Seen
	for done, next := 0, 1; next <= 1000; next *= 10 {
		for ; done < next; done++ {
			if e := b.Run("run", "true"); e.Status != 0 {
				return status(0, e)
			}
		}
		left, err := b.left()
		if err != nil {
			return failed(err)
		}
		mounts := "the same mounts"
		if b.text(host+"/mountinfo") != before {
			mounts = "other mounts"
		}
		saw = same(fmt.Sprintf("after %d runs 0 processes, the same mounts", done),
			fmt.Sprintf("after %d runs %d processes, %s", done, len(left), mounts))
		if !saw.Holds {
			break
		}
	}
	b.ran = []string{"box run true", "… a thousand times"}
	return saw
}
