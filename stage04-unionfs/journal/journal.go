// Package journal keeps what a container prints: a JSON object a line, in the form of Docker's
// json-file logs, so that a log can be read with any tool that reads those. A Writer is fed
// through pipes, and passes on what it reads; Read reads a log, and follows one that is being
// written.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Line is a line of a log.
type Line struct {
	Log    string    `json:"log"`    // what was printed, up to a newline or for 16 KiB
	Stream string    `json:"stream"` // stdout or stderr
	Time   time.Time `json:"time"`   // when it was read, in UTC
}

// longest is how much of a line that was printed fits into one of the log, as in Docker.
const longest = 16 << 10

// Writer writes a log.
type Writer struct {
	file   *os.File
	ends   []*os.File // for the process that prints
	copied sync.WaitGroup
	reader reader

	// To returns where a stream goes besides, as it comes, or is nil.
	To func(stream string) io.Writer

	failed bool // the disk is full, perhaps: the container is to go on
}

// Create opens a log to write more to it; it makes a file that only its owner can read if there
// is none. If a writer that was killed has left half a line, what is written now begins in the
// next one.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if !isWhole(file) {
		if _, err := file.WriteString("\n"); err != nil {
			file.Close()
			return nil, err
		}
	}
	return &Writer{file: file}, nil
}

// isWhole reports whether the last line of a file has an end.
func isWhole(file *os.File) bool {
	last := []byte{'\n'}
	if end, err := file.Seek(-1, io.SeekEnd); err == nil {
		_, err = file.ReadAt(last, end)
		return err == nil && last[0] == '\n'
	}
	return true
}

// Pipe returns the end of a pipe to print to, which is open until CloseEnds. Its lines get the
// name of the stream.
func (w *Writer) Pipe(stream string) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{file: read, lines: lines{w: w, stream: stream}}
	if w.To != nil {
		p.to = w.To(stream)
	}
	first, err := w.reader.add(p)
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	if first {
		w.copied.Go(w.reader.run)
	}
	w.ends = append(w.ends, write)
	return write, nil
}

// Input makes a pipe for the process to read from, and returns both ends. The one to write to is
// the caller's; the other is open until CloseEnds.
func (w *Writer) Input() (read, write *os.File, err error) {
	if read, write, err = os.Pipe(); err == nil {
		w.ends = append(w.ends, read)
	}
	return read, write, err
}

// CloseEnds closes this process's ends of the pipes, which others may have inherited.
func (w *Writer) CloseEnds() {
	for _, end := range w.ends {
		end.Close()
	}
	w.ends = nil
}

// lines cuts a stream into the lines of a log.
type lines struct {
	w      *Writer
	stream string
	begun  []byte // of a line
}

// add writes a line for each line, or for as much of it as fits.
func (l *lines) add(data []byte) {
	for len(data) > 0 {
		n := min(longest-len(l.begun), len(data))
		if end := bytes.IndexByte(data[:n], '\n'); end >= 0 {
			n = end + 1
		}
		l.begun, data = append(l.begun, data[:n]...), data[n:]
		if len(l.begun) == longest || l.begun[len(l.begun)-1] == '\n' {
			l.end()
		}
	}
}

// end writes the line that has begun.
func (l *lines) end() {
	if len(l.begun) > 0 && !l.w.failed {
		err := l.w.write(Line{string(l.begun), l.stream, time.Now().UTC()})
		if l.w.failed = err != nil; errors.Is(err, syscall.ENOSPC) {
			l.w.makeRoom()
		}
	}
	l.begun = l.begun[:0]
}

func (w *Writer) write(line Line) error {
	data, err := json.Marshal(line)
	if err == nil {
		_, err = w.file.Write(append(data, '\n'))
	}
	return err
}

// room is how much of a log that has filled the disk is given back.
const room = 64 << 10

// makeRoom cuts the log's last lines off, or half of it if that is less: of the container that has
// filled the disk, at least it can be noted how it ended.
func (w *Writer) makeRoom() {
	size, err := w.file.Seek(0, io.SeekEnd)
	if err == nil {
		err = w.file.Truncate(max(size-room, size/2))
	}
	if err == nil {
		err = Tail(w.file, 0) // where the line begins that was cut in two
	}
	if at, errSeek := w.file.Seek(0, io.SeekCurrent); err == nil && errSeek == nil {
		w.file.Truncate(at)
	}
}

// Close closes the ends, waits until everything that was printed is written, and closes the log.
// It does not wait for a process that still has the end of a pipe and prints nothing.
func (w *Writer) Close() error {
	w.CloseEnds()
	w.reader.finish()
	w.copied.Wait()
	return w.file.Close()
}

// Tail goes to the beginning of the last lines of a log. If there are fewer, that is its start.
func Tail(log io.ReadSeeker, lines int) error {
	at, err := log.Seek(0, io.SeekEnd)
	block := make([]byte, longest)
	// The newline of the last line is the first that is met, and does not begin a line.
	for left := lines + 1; at > 0 && err == nil; {
		part := block[:min(at, longest)]
		at -= int64(len(part))
		if _, err = log.Seek(at, io.SeekStart); err == nil {
			_, err = io.ReadFull(log, part)
		}
		for i := len(part) - 1; i >= 0 && err == nil; i-- {
			if part[i] != '\n' {
				continue
			}
			if left--; left == 0 {
				_, err = log.Seek(at+int64(i)+1, io.SeekStart)
				return err
			}
		}
	}
	if err == nil {
		_, err = log.Seek(0, io.SeekStart)
	}
	return err
}

// Read calls do for each line of a log, in order. At the end of the file it asks whether there
// may be more, and looks again for as long as there may. If more is nil, the end is the end.
// Half a line, which a writer that was killed has left, is skipped.
func Read(ctx context.Context, log io.Reader, more func() bool, do func(Line) error) error {
	lines, last := bufio.NewReader(log), more == nil
	for begun := ""; ; {
		part, err := lines.ReadString('\n')
		begun += part
		switch {
		case err == nil:
			var line Line
			if json.Unmarshal([]byte(begun), &line) == nil {
				if err := do(line); err != nil {
					return err
				}
			}
			begun = ""
		case err != io.EOF || last:
			return ignoreEOF(err)
		default:
			if last = !more(); last {
				continue // what was printed before that is in the file now
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
