package archive

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blob")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o644))
	w := NewWriter(&bytes.Buffer{})
	require.NoError(t, w.File(digest.FromString("content"), path))
	require.ErrorIs(t, w.File(digest.FromString("other"), path), ErrDamaged)
	require.ErrorIs(t, w.File(digest.FromString("none"), path+"-gone"), os.ErrNotExist)
}
