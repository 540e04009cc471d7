// On a terminal the narration has colours, and a line fits: a call is cut before its reason is.
// In a pipe nothing is cut and nothing coloured.

package plan

import (
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// screen is where lines are printed: the columns of a terminal, 0 for anything else, and
// whether it is coloured.
type screen struct {
	width    int
	coloured bool
}

// screenOf looks at what w is. NO_COLOR is no-color.org's word for a plain terminal.
func screenOf(w io.Writer) screen {
	file, ok := w.(*os.File)
	if !ok {
		return screen{}
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	kind := os.Getenv("TERM")
	return screen{int(size.Col), os.Getenv("NO_COLOR") == "" && kind != "" && kind != "dumb"}
}

const (
	bold  = "1"
	grey  = "2"
	cyan  = "36"
	green = "32"
)

// title is the line that begins a section.
func (s screen) title(topic string) string { return s.colour(bold, s.cut("── "+topic, s.width)) }

// column is where reasons begin, if the call is short enough; least is what is left of a call.
const column, least = 70, 24

// line is a call of one side, with the reason for it.
func (s screen) line(side, call, why string) string {
	if why != "" {
		why = "  # " + why
		call = s.cut(call, max(s.width-6-utf8.RuneCountInString(why), least))
		call = fmt.Sprintf("%-*s", s.column(why), call)
	}
	room := s.width - 6
	call = s.cut(call, room)
	why = s.cut(why, room-utf8.RuneCountInString(call))
	hue := cyan
	if side != "host" {
		hue = green
	}
	return s.colour(hue, fmt.Sprintf("%-4s│", side)) + " " + call + s.colour(grey, why)
}

// column is where a reason begins: in the middle of a terminal, or further left if it is long.
func (s screen) column(why string) int {
	if s.width == 0 {
		return column
	}
	return max(min(column, s.width/2-6, s.width-6-utf8.RuneCountInString(why)), 0)
}

// cut shortens a text that is wider than the terminal allows.
func (s screen) cut(text string, width int) string {
	if s.width == 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}

// colour puts a text into a colour of ECMA-48.
func (s screen) colour(code, text string) string {
	if !s.coloured || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
