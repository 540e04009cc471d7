package layer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLowerTimes(t *testing.T) {
	dir, early, most := t.TempDir(), time.Unix(100, 0), time.Unix(1e9, 0)
	sh(t, dir, "mkdir -p d/sub old; echo x >d/sub/file; ln -s /nowhere d/link; ln d/sub/file hard; mkfifo fifo; chmod 0 d/sub")
	require.NoError(t, os.Chtimes(filepath.Join(dir, "old"), early, early))
	require.NoError(t, LowerTimes(dir, most))
	for name, want := range map[string]time.Time{
		"d": most, "d/sub": most, "d/link": most, "hard": most, "fifo": most, "old": early,
	} {
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(dir, name), &st))
		require.Equal(t, want.UnixNano(), st.Mtim.Nano(), name)
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "d/sub"), 0o755))
	require.ErrorIs(t, LowerTimes(filepath.Join(dir, "none"), most), unix.ENOENT)
}
