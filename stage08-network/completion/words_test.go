package completion

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		words, before []string
		word          string
	}{
		{nil, nil, ""},
		{[]string{"--"}, nil, ""},
		{[]string{"--", "ru"}, []string{}, "ru"},
		{[]string{"run", "--", ""}, []string{"run", "--"}, ""},
	} {
		before, word := Split(c.words)
		require.Equal(t, c.before, before)
		require.Equal(t, c.word, word)
	}
}

func TestEntries(t *testing.T) {
	dir := t.TempDir()
	require.Empty(t, Entries(filepath.Join(dir, "none"), ""))
	for _, name := range []string{"a.json", "b.json", "leases"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	require.Equal(t, []string{"a", "b"}, Entries(dir, ".json"))
	require.Len(t, Entries(dir, ""), 3)
}
