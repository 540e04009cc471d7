package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/journal"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// printed writes texts to a log through a pipe.
func printed(t *testing.T, path, stream string, texts ...string) {
	w, err := journal.Create(path)
	require.NoError(t, err)
	end, err := w.Pipe(stream)
	require.NoError(t, err)
	for _, text := range texts {
		_, err := end.WriteString(text)
		require.NoError(t, err)
	}
	require.NoError(t, end.Close())
	require.NoError(t, w.Close())
}

// read reads a log to its end.
func read(t *testing.T, path string) (lines []journal.Line) {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, journal.Read(t.Context(), file, nil, func(line journal.Line) error {
		lines = append(lines, line)
		return nil
	}))
	return lines
}

func TestLines(t *testing.T) {
	path, begun := filepath.Join(t.TempDir(), "log"), time.Now()
	long := strings.Repeat("x", 40_000)
	printed(t, path, "stdout", "one\ntwo\n\n", long+"\n", "no end")
	printed(t, path, "stderr", "<error> \x00\n")
	lines := read(t, path)
	var texts []string
	for _, line := range lines {
		texts = append(texts, line.Log)
		require.WithinRange(t, line.Time, begun, time.Now())
		require.Equal(t, time.UTC, line.Time.Location())
	}
	want := []string{"one\n", "two\n", "\n", long[:16<<10], long[:16<<10], long[32<<10:] + "\n", "no end", "<error> \x00\n"}
	require.Equal(t, want, texts)
	require.Equal(t, "stdout", lines[6].Stream)
	require.Equal(t, "stderr", lines[7].Stream)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode()&0o077, "for its owner alone")
}

// A line has the keys of Docker's json-file logs, in their order.
func TestForm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	printed(t, path, "stdout", "text\n")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^\{"log":"text\\n","stream":"stdout","time":"\d{4}-\d\d-\d\dT[\d:]+(\.\d+)?Z"\}\n$`, string(data))
}

// A writer may have been killed in the middle of a line.
func TestHalfALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	printed(t, path, "stdout", "before\n", "half\n")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, int64(len(data)-9)))
	require.Len(t, read(t, path), 1)
	printed(t, path, "stdout", "after\n")
	lines := read(t, path)
	require.Len(t, lines, 2)
	require.Equal(t, []string{"before\n", "after\n"}, []string{lines[0].Log, lines[1].Log})
}

// Read goes on while there may be more, and gets what was written before that has ended.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := journal.Create(path)
	require.NoError(t, err)
	end, err := w.Pipe("stdout")
	require.NoError(t, err)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	asked, got := 0, ""
	more := func() bool {
		asked++
		_, err := end.WriteString(strings.Repeat("y", asked) + "\n")
		require.NoError(t, err)
		if asked == 3 {
			require.NoError(t, errors.Join(end.Close(), w.Close()))
		}
		return asked < 3
	}
	require.NoError(t, journal.Read(t.Context(), file, more, func(line journal.Line) error {
		got += line.Log
		return nil
	}))
	require.Equal(t, "y\nyy\nyyy\n", got)
}

func TestReadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	do := func(journal.Line) error { return nil }
	require.ErrorIs(t, journal.Read(ctx, strings.NewReader(""), func() bool { return true }, do), context.Canceled)
	line, err := json.Marshal(journal.Line{Log: "text"})
	require.NoError(t, err)
	log := bytes.Repeat(append(line, '\n'), 2)
	broken, called := errors.New("broken"), 0
	require.ErrorIs(t, journal.Read(t.Context(), bytes.NewReader(log), nil, func(journal.Line) error {
		called++
		return broken
	}), broken)
	require.Equal(t, 1, called)
}

// A process that has kept the end of a pipe does not keep the writer for longer than a second.
func TestSomebodyKeepsThePipe(t *testing.T) {
	t.Parallel()
	w, err := journal.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	end, err := w.Pipe("stdout")
	require.NoError(t, err)
	kept, err := unix.Dup(int(end.Fd())) // as a process inherits it
	require.NoError(t, err)
	begun := time.Now()
	require.NoError(t, w.Close())
	require.GreaterOrEqual(t, time.Since(begun), time.Second)
	require.NoError(t, unix.Close(kept))
}

// An input has no end when the process that it was made for has its own copy.
func TestInput(t *testing.T) {
	w, err := journal.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	read, write, err := w.Input()
	require.NoError(t, err)
	kept, err := unix.Dup(int(read.Fd()))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, unix.SetNonblock(kept, true))
	_, err = unix.Read(kept, make([]byte, 1))
	require.ErrorIs(t, err, unix.EAGAIN)
	require.NoError(t, unix.Close(kept))
	_, err = write.WriteString("x")
	require.ErrorIs(t, err, unix.EPIPE, "the writer has closed its copy")
	require.NoError(t, write.Close())
}

// What is printed also goes to another place, as it comes, and all of it does, however long that
// takes.
func TestTo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	w, err := journal.Create(path)
	require.NoError(t, err)
	var slow slowWriter
	w.To = func(stream string) io.Writer {
		require.Equal(t, "stdout", stream)
		return &slow
	}
	end, err := w.Pipe("stdout")
	require.NoError(t, err)
	text := strings.Repeat("0123456789abcde\n", 4<<10) // as much as the pipe holds
	_, err = end.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, end.Close())
	require.NoError(t, w.Close())
	require.Equal(t, text, slow.String())
	require.Len(t, read(t, path), 4<<10)
}

// slowWriter takes longer for what it gets than the journal waits for more.
type slowWriter struct{ bytes.Buffer }

func (s *slowWriter) Write(data []byte) (int, error) {
	time.Sleep(600 * time.Millisecond)
	return s.Buffer.Write(data)
}

// Whoever prints goes on when the disk is full.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root only: it mounts a small disk")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"))
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	texts := make([]string, 1000)
	for i := range texts {
		texts[i] = strings.Repeat("x", 999) + "\n"
	}
	printed(t, filepath.Join(dir, "log"), "stdout", texts...)
	require.NotEmpty(t, read(t, filepath.Join(dir, "log")))
}

// TestOrder: what is printed in pieces on standard error, and then on standard output, goes on in
// this order. Two goroutines, one for each pipe, would mix them a few times in two hundred.
func TestOrder(t *testing.T) {
	for range 200 {
		w, err := journal.Create(filepath.Join(t.TempDir(), "log"))
		require.NoError(t, err)
		var all bytes.Buffer
		w.To = func(string) io.Writer { return &all }
		stdout, err := w.Pipe("stdout")
		require.NoError(t, err)
		stderr, err := w.Pipe("stderr")
		require.NoError(t, err)
		for _, piece := range []string{"n", "o", " no\n"} {
			_, err := stderr.WriteString(piece)
			require.NoError(t, err)
		}
		_, err = stdout.WriteString("yes\n")
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Equal(t, "no no\nyes\n", all.String())
	}
}

// TestRoomOnAFullDisk: a log that has filled the disk is whole lines, and leaves room for how its container ended.
func TestRoomOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); errors.Is(err, unix.EPERM) {
		t.Skip("only root mounts a small disk of its own")
	} else {
		require.NoError(t, err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path := filepath.Join(dir, "log")
	printed(t, path, "stdout", strings.Repeat(strings.Repeat("x", 999)+"\n", 1000))
	lines := read(t, path)
	require.Greater(t, len(lines), 300)
	require.Len(t, lines[len(lines)-1].Log, 1000)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "record"), make([]byte, 32<<10), 0o600))
}
