package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// TestReadmeSizes holds the README's table of stages against the stages, to the hundred: new code,
// its tools among it.
func TestReadmeSizes(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	all, err := stages.All("..")
	require.NoError(t, err)
	sizes, err := difference.Sizes(all)
	require.NoError(t, err)
	for i, s := range all {
		hundreds := (sizes[i].Code + 50) / 100
		size := fmt.Sprintf("%d,%d00", hundreds/10, hundreds%10)
		row := regexp.MustCompile(`\| \[` + "`" + s.Name() + "`" + `\]\([^|]*\|[^|]*\| (.*) \| `).FindSubmatch(text)
		require.NotNil(t, row, "README.md has no row for %s", s.Name())
		if is := string(row[1]); is != size {
			t.Errorf("README.md: the row of %s says %s lines of new code; write %s", s.Name(), is, size)
		}
	}
}
