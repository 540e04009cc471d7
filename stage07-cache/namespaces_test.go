package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMapText(t *testing.T) {
	require.Equal(t, "0 1000 1\n", mapText(1000, nil))
	require.Equal(t, "0 1000 1\n1 100000 65536\n65537 500000 10\n",
		mapText(1000, []idRange{{100000, 65536}, {500000, 10}}))
}

func TestParseSubIDs(t *testing.T) {
	const file = "root:1:2\nann:100000:65536\n# ann:1:1\n1000:300000:1000\nannabel:5:5\n"
	ranges, err := parseSubIDs(strings.NewReader(file), "ann", 1000)
	require.NoError(t, err)
	require.Equal(t, []idRange{{100000, 65536}, {300000, 1000}}, ranges)

	for _, c := range []struct{ line, says string }{
		{"ann", `line 1: "ann" is not user:start:count`},
		{"ann:1:2:3", "is not user:start:count"},
		{"ann:-1:5", "is not a range of 32-bit ids"},
		{"ann:1:0", "is not a range of 32-bit ids"},
		{"ann:4294967295:1", "is not a range of 32-bit ids"},
		{"ann:1:4294967296", "is not a range of 32-bit ids"},
	} {
		_, err := parseSubIDs(strings.NewReader(c.line), "ann", 1000)
		require.ErrorContains(t, err, c.says)
	}
}

// FuzzParseSubIDs: whatever is accepted can be written back and means the same.
func FuzzParseSubIDs(f *testing.F) {
	f.Add("ann:100000:65536\n")
	f.Add("1000:1:1\nann:4294967294:1\n")
	f.Add("ann:1:2:3\nbob")
	f.Fuzz(func(t *testing.T, file string) {
		ranges, err := parseSubIDs(strings.NewReader(file), "ann", 1000)
		if err != nil {
			require.Nil(t, ranges)
			return
		}
		var again strings.Builder
		for _, r := range ranges {
			require.NotZero(t, r.count)
			require.Less(t, uint64(r.start)+uint64(r.count), uint64(1)<<32)
			fmt.Fprintf(&again, "ann:%d:%d\n", r.start, r.count)
		}
		same, err := parseSubIDs(strings.NewReader(again.String()), "ann", 1000)
		require.NoError(t, err)
		require.Equal(t, ranges, same)
	})
}
