package behave

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

// TestAReadyStoreIsTheChecksOwn: a check's first run of tiny finds the layer that all checks share,
// which has links, and a blob and an index of its own. A Fresh row makes its layer.
func TestAReadyStoreIsTheChecksOwn(t *testing.T) {
	boxtest.Slow(t) // it builds a stage
	_, list := everyStage(t)
	binary := filepath.Join(t.TempDir(), "box")
	require.NoError(t, list[firstImages-1].Build(t.Context(), binary))
	w, err := Suite{Binary: binary, Stage: firstImages, Ready: true}.setUp(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.close()) }()
	everyone, err := people(w.binary)
	require.NoError(t, err)
	for _, p := range everyone {
		if p.missing != "" {
			t.Logf("%s: %s", p.name, p.missing)
			continue
		}
		shared := Row{Check: func(b *Box) Seen { return b.linksAfterARun("2 1 1") }}
		for range 2 {
			requireSeen(t, w, shared, p)
		}
		fresh := Row{Fresh: true, Check: func(b *Box) Seen { return b.linksAfterARun("1 1 1") }}
		requireSeen(t, w, fresh, p)
	}
}

func requireSeen(t *testing.T, w *workplace, row Row, p person) {
	t.Helper()
	outcome, err := w.check(row, p, w.binary)
	require.NoError(t, err)
	require.True(t, outcome.Holds, "%s: expected %s, saw %s", p.name, outcome.Expected, outcome.Saw)
}

// linksAfterARun compares the numbers of links, after a run of tiny, of a program in its
// layer, of its index and of the largest blob.
func (b *Box) linksAfterARun(expected string) Seen {
	e := b.Run("run", "--rm", "tiny", "true")
	var seen []any
	for _, pattern := range []string{"layers/*/bin/sh", "images/index.json", "images/blobs/sha256/*"} {
		files, _ := filepath.Glob(filepath.Join(b.store(), pattern)) // the pattern is well formed
		links := uint64(0)
		for _, file := range files {
			var s unix.Stat_t
			if err := unix.Stat(file, &s); err != nil {
				return failed(err)
			}
			links = max(links, s.Nlink)
		}
		seen = append(seen, links)
	}
	return all(status(0, e), same(expected, fmt.Sprint(seen...)))
}
