package behave

import "fmt"

// The rows about what many runs leave behind: nothing. A namespace lives as long as a
// process or a mount keeps it, so where neither is left, no namespace is. A descriptor that
// something still holds shows in every row, as a run whose output does not end.

var leftoverRows = []Row{{
	Name: "a thousand runs leave no process and no mount behind", Since: 1, Slow: true,
	Check:  thousandRuns,
	Broken: `"$BOX" "$@"; sleep 1000 >/dev/null 2>&1 &`,
}}

// thousandRuns looks after the first run and after every hundredth.
func thousandRuns(b *Box) Seen {
	const expected = "0 processes, the same mounts"
	before, saw := b.text(host+"/mountinfo"), ""
	for n := range 1000 {
		if ran := status(0, b.Run("run", "true")); !ran.Holds {
			return ran
		}
		if n != 0 && n%100 != 99 {
			continue
		}
		left, err := b.left()
		if err != nil {
			return failed(err)
		}
		mounts := "the same mounts"
		if b.text(host+"/mountinfo") != before {
			mounts = "other mounts"
		}
		if saw = fmt.Sprintf("%d processes, %s", len(left), mounts); saw != expected {
			break
		}
	}
	b.ran = []string{"box run true", "… a thousand times"}
	return same(expected, saw)
}
