package rest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Flushing sends at once what is written.
type Flushing struct{ http.ResponseWriter }

func (f Flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err == nil {
		err = http.NewResponseController(f.ResponseWriter).Flush()
	}
	return n, err
}

// Begin sends the header of an answer at once, before there is anything to say.
func Begin(w http.ResponseWriter, kind string) (Flushing, error) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	return Flushing{w}, http.NewResponseController(w).Flush()
}

// Frames share a connection between two streams: each piece has a header of eight bytes, which are
// the number of the stream, three zeros, and the length.
type Frames struct {
	To io.Writer
	mu sync.Mutex
}

// The numbers of the streams.
const (
	Stdout = 1
	Stderr = 2
)

// Stream is the writer of one of the streams.
func (f *Frames) Stream(number byte) io.Writer { return stream{f, number} }

type stream struct {
	*Frames
	number byte
}

func (s stream) Write(p []byte) (int, error) {
	frame := make([]byte, 8, 8+len(p))
	frame[0] = s.number
	binary.BigEndian.PutUint32(frame[4:], uint32(len(p)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.To.Write(append(frame, p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Messages are the answer of a request that takes long: objects of JSON, a line each.
type Messages struct{ *json.Encoder }

// NewMessages begins such an answer.
func NewMessages(w http.ResponseWriter) Messages {
	w.Header().Set("Content-Type", "application/json")
	return Messages{json.NewEncoder(Flushing{w})}
}

// Say sends a line of text under a key, such as status or stream.
func (m Messages) Say(key, text string) error { return m.Encode(map[string]string{key: text}) }

// Fail sends an error, with the status that the client is to exit with, or 0 for 1. The status of
// the answer was sent before.
func (m Messages) Fail(text string, code int) error {
	return m.Encode(map[string]any{"error": text, "errorDetail": map[string]any{"code": code, "message": text}})
}

// Progress sends what a program prints, up to its error. Errors of sending mean that the client has
// left, which ends the program.
type Progress struct {
	Messages
	Key    string                   // of each line
	Intro  any                      // the first message, if any
	Format func(line string) string // of a line, if it is not sent as it is
	Begun  bool                     // something was sent
	Why    string                   // the program's error, or its last line
	failed bool

	IsError func(line string) bool // of a line that may be the error, which comes last
	held    []string               // such a line, and those about it
}

// Begin sends the first message, once.
func (p *Progress) Begin() {
	if !p.Begun && p.Intro != nil {
		p.Encode(p.Intro)
	}
	p.Begun = true
}

// Line takes a line of the program. One that begins with a space is about the one before: a hint, if
// that was an error. An error need not be the end.
func (p *Progress) Line(line string) {
	text, ends := strings.CutPrefix(line, "box: ")
	switch {
	case ends:
		p.Why, p.failed = text, true
		return
	case !strings.HasPrefix(line, " "):
		p.Release(nil)
		p.Why, p.failed = line, false
	case p.failed:
		p.Why += "\n" + line
		return
	}
	if len(p.held) > 0 || p.IsError != nil && p.IsError(line) {
		p.held = append(p.held, line)
		return
	}
	p.send(line)
}

// Release sends the lines that were held back, but for the error itself.
func (p *Progress) Release(err error) {
	if err != nil && len(p.held) > 0 && p.held[0] == p.Why {
		p.held = p.held[1:]
	}
	for _, line := range p.held {
		p.send(line)
	}
	p.held = nil
}

func (p *Progress) send(line string) {
	if p.Format != nil {
		line = p.Format(line)
	}
	p.Begin()
	p.Say(p.Key, line)
}

// longest is how many bytes of a line Lines keeps. A program may print without ever ending a line.
const longest = 64 << 10

// Lines is a writer that calls Do with each line. One that is longer than 64 KiB comes in pieces.
type Lines struct {
	Do   func(line string)
	rest []byte
}

func (l *Lines) Write(p []byte) (n int, err error) {
	for n < len(p) {
		room := longest - len(l.rest)
		piece := p[n:min(n+room+1, len(p))] // a full line may have its end next
		switch end := bytes.IndexAny(piece, "\r\n"); {
		case end >= 0:
			l.take(piece[:end])
			n += end + 1
		case len(piece) > room:
			l.take(piece[:room])
			n += room
		default:
			l.rest = append(l.rest, piece...)
			n += len(piece)
		}
	}
	return n, nil
}

// take calls Do with a line that ends so.
func (l *Lines) take(end []byte) {
	l.Do(string(l.rest) + string(end))
	l.rest = l.rest[:0]
}

// Close calls Do with a last line that has no end.
func (l *Lines) Close() {
	if len(l.rest) > 0 {
		l.take(nil)
	}
}
