package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/internal/difference"
	"stagebox/lessons/internal/stages"
)

// TestReadmeSizes holds the README's table of stages against the stages, to the hundred.
func TestReadmeSizes(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	all, err := stages.All("..")
	require.NoError(t, err)
	before := ""
	for _, s := range all {
		files, err := difference.Dirs(before, s.Dir, false)
		require.NoError(t, err)
		code := 0
		for _, f := range files {
			code += f.Code
		}
		hundreds := (code + 50) / 100
		size := fmt.Sprintf("%d,%d00", hundreds/10, hundreds%10)
		require.Regexp(t, `\| \[`+"`"+s.Name()+"`"+`\]\([^|]*\|[^|]*\| `+size+` \| `, string(readme))
		before = s.Dir
	}
}
