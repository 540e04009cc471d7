package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/ids"
	"stagebox/stage09-daemon/broker"
)

// TestLateReport: the kernel may report the end of one command on a container when the file of the
// next is there already. The exit status of that one is not lost.
func TestLateReport(t *testing.T) {
	s := Store{Root: t.TempDir()}
	w, err := s.watch(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.inotify.Close(), "the test reports what it likes, when it likes")
	var seen []string
	r, _ := w.Subscribe(time.Time{}, func(broker.Event) bool { return true })
	id := ids.New()
	w.seen[id] = &lastSeen{record: &Record{ID: id, Run: &Container{}}}
	live := s.path("running", id)
	require.NoError(t, os.WriteFile(live, nil, 0o600))
	w.watchRun(id)
	w.handleEvent("running", id, unix.IN_DELETE) // that of `box create`
	require.NoError(t, os.WriteFile(live, []byte("10\n"), 0o600))
	require.NoError(t, os.Rename(live, filepath.Join(s.Root, "gone")))
	w.handleEvent("running", id, unix.IN_DELETE)
	for len(r.C) > 0 {
		e := <-r.C
		seen = append(seen, e.Action+e.Actor.Attributes["exitCode"])
	}
	require.Equal(t, []string{"start", "die10", "destroy"}, seen)
}
