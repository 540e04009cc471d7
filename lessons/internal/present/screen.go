package present

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Sequences of ECMA-48, which every terminal knows.
const (
	bold    = "\x1b[1m"
	faint   = "\x1b[2m"
	reverse = "\x1b[7m"
	plainly = "\x1b[0m"
	clear   = "\x1b[H\x1b[2J"
	wipe    = "\r\x1b[K" // the line that the cursor is in
)

// screen is the presenter's terminal. It is in raw mode, where a line ends in \r\n.
type screen struct {
	out   io.Writer
	width func() int
	muted bool // while a session is brought to its place
	fresh bool // the cursor is at the beginning of a line
}

func (s *screen) print(text string) {
	fmt.Fprint(s.out, strings.ReplaceAll(text, "\n", "\r\n"))
	s.fresh = strings.HasSuffix(text, "\n") || strings.HasSuffix(text, clear) || strings.HasSuffix(text, wipe)
}

// line starts a new line, if there is something in this one.
func (s *screen) line() {
	if !s.fresh {
		s.print("\n")
	}
}

// paragraph prints words faintly, and breaks lines between them.
func (s *screen) paragraph(text string) {
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column > 0 && column+1+n > min(s.width()-2, 78):
			s.print("\n")
			column = 0
		case column > 0:
			s.print(" ")
			column++
		}
		s.print(faint + word + plainly)
		column += n
	}
	s.print("\n")
}

// cut makes a text fit into the rest of a line.
func cut(text string, width int) string {
	if letters := []rune(text); len(letters) > width {
		return string(letters[:max(0, width-1)]) + "…"
	}
	return text
}

var waiting = regexp.MustCompile(`^(?:sh-[0-9.]+)?[#$] $`)

// window is where one of the session's terminals is shown. A shell's prompt waits there until
// something is typed, so that the presenter's own line does not come after it.
type window struct {
	screen *screen
	held   []byte
}

func (w *window) Write(data []byte) (int, error) {
	text := append(w.held, data...)
	at := bytes.LastIndexByte(text, '\n') + 1
	w.held = nil
	if waiting.Match(text[at:]) {
		text, w.held = text[:at], bytes.Clone(text[at:])
	}
	if len(text) > 0 && !w.screen.muted {
		w.screen.out.Write(text)
		w.screen.fresh = at == len(text)
	}
	return len(data), nil
}
