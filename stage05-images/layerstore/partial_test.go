package layerstore

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/layer"
)

// TestDropHalfMade: what a killed process has left goes. A part of a blob, a layer, and what is not
// box's stay.
func TestDropHalfMade(t *testing.T) {
	d := newDir(t)
	diffID := keep(t, d, "file", "text")
	partial := filepath.Join(d.Layout.Dir, "partial")
	build, err := d.Build()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(build+"/half", nil, 0o644))
	require.NoError(t, os.WriteFile(build+layer.OwnersSuffix, nil, 0o644))
	for _, dir := range []string{partial, d.Layout.Dir, d.Dir} { // pending records of a killed process
		require.NoError(t, os.WriteFile(filepath.Join(dir, state.PendingName()), nil, 0o644))
	}
	stay := []string{digest.FromString("a blob").Encoded(), "layer-", "layer-of-mine", "notes"}
	for _, name := range stay {
		require.NoError(t, os.WriteFile(filepath.Join(partial, name), nil, 0o644))
	}
	require.NoError(t, d.DropHalfMade())
	require.ElementsMatch(t, stay, names(t, partial))
	require.False(t, slices.ContainsFunc(append(names(t, d.Layout.Dir), names(t, d.Dir)...), state.IsPending))
	require.True(t, d.Has(diffID))
}

func names(t *testing.T, dir string) (list []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

// TestFreed: a layer that another image has is not freed, and one of two images counts once.
func TestFreed(t *testing.T) {
	d := newDir(t)
	shared, own := keep(t, d, "a", "12345"), keep(t, d, "b", "123")
	freed := Freed{Dir: d}
	require.Zero(t, freed.Bytes())
	freed.Note(imageOf(shared, own))
	freed.Note(imageOf(own))
	require.Zero(t, freed.Bytes())
	require.NoError(t, os.RemoveAll(d.Path(own)))
	require.EqualValues(t, 3, freed.Bytes())
	require.NoError(t, os.RemoveAll(d.Path(shared)))
	require.EqualValues(t, 8, freed.Bytes())
}

// TestMounted: the top comes first, as overlay wants it, and there are two at least.
func TestMounted(t *testing.T) {
	d := newDir(t)
	lower, upper := keep(t, d, "a", "1"), keep(t, d, "b", "2")
	empty, err := d.Empty()
	require.NoError(t, err)
	dirs, err := d.Mounted(imageOf(lower, upper))
	require.NoError(t, err)
	require.Equal(t, []string{d.Path(upper), d.Path(lower), empty[0]}, dirs)
	_, err = d.Mounted(imageOf(digest.FromString("gone")))
	require.ErrorIs(t, err, os.ErrNotExist)
}
