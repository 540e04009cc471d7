package labels_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/labels"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestLabels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "labels")
	require.NoError(t, os.WriteFile(file, []byte("# a note\na=1\nb=of=file\n"), 0o600))
	list, err := labels.Read([]string{file}, []string{"a=2", "c"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "2", "b": "of=file", "c": ""}, labels.Map(list))
	require.Equal(t, []string{"a=2", "b=of=file", "c="}, labels.List(labels.Map(list)))
	for _, bad := range []string{"", "=1", "a b=1"} {
		_, err := labels.Read(nil, []string{bad})
		require.ErrorContains(t, err, "give KEY or KEY=VALUE", bad)
	}
	_, err = labels.Read([]string{file + "?"}, nil)
	require.ErrorContains(t, err, "--label-file "+file+"?: ")
}
