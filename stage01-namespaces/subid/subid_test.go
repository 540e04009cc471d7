package subid

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	const file = "root:1:2\nann:100000:65536\n# ann:1:1\n1000:300000:1000\nannabel:5:5\n"
	ranges, err := Parse(strings.NewReader(file), "ann", 1000)
	require.NoError(t, err)
	require.Equal(t, []Range{{100000, 65536}, {300000, 1000}}, ranges)

	for _, c := range []struct{ line, says string }{
		{"ann", `line 1: "ann" is not user:start:count`},
		{"ann:1:2:3", "is not user:start:count"},
		{"ann:-1:5", "is not a range of 32-bit ids"},
		{"ann:1:0", "is not a range of 32-bit ids"},
		{"ann:4294967295:1", "is not a range of 32-bit ids"},
		{"ann:1:4294967296", "is not a range of 32-bit ids"},
	} {
		_, err := Parse(strings.NewReader(c.line), "ann", 1000)
		require.ErrorContains(t, err, c.says)
	}
}

// FuzzParse: whatever is accepted can be written back and means the same.
func FuzzParse(f *testing.F) {
	f.Add("ann:100000:65536\n")
	f.Add("1000:1:1\nann:4294967294:1\n")
	f.Add("ann:1:2:3\nbob")
	f.Fuzz(func(t *testing.T, file string) {
		ranges, err := Parse(strings.NewReader(file), "ann", 1000)
		if err != nil {
			require.Nil(t, ranges)
			return
		}
		var again strings.Builder
		for _, r := range ranges {
			require.NotZero(t, r.Count)
			require.Less(t, uint64(r.Start)+uint64(r.Count), uint64(1)<<32)
			fmt.Fprintf(&again, "ann:%d:%d\n", r.Start, r.Count)
		}
		same, err := Parse(strings.NewReader(again.String()), "ann", 1000)
		require.NoError(t, err)
		require.Equal(t, ranges, same)
	})
}

func TestSum(t *testing.T) {
	require.Zero(t, Sum(nil))
	require.EqualValues(t, 1<<33-2, Sum([]Range{{0, 1<<32 - 1}, {5, 1<<32 - 1}}))
}
