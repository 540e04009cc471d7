// Errors with their place in the file: the message, the lines that lead to it, and a caret
// below the place. For a misspelt word the nearest known one is suggested.

package dockerfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Error is what is wrong in a Dockerfile, and where.
type Error struct {
	File        string // "": the text has no name
	First, Last int    // the instruction's lines, from 1
	Line        int    // the line to show with a caret; 0: the error is about the whole file
	Column      int    // of the caret, in characters, from 1
	Width       int    // of the caret, in characters
	Message     string // without file and line
	Suggestion  string // the word that was probably meant, or ""

	shown []string

	cause error // what ErrorAt has wrapped, or nil
}

// Error returns FILE:LINE: MESSAGE, or the message alone for instructions without a file.
func (e *Error) Error() string {
	text := e.File + ": " + e.Message
	if e.File == "" {
		text = e.Message
	} else if e.Line > 0 {
		text = fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	if e.Suggestion != "" {
		text += ": did you mean " + e.Suggestion + "?"
	}
	return text
}

// Unwrap returns the error that %w of ErrorAt's format has wrapped.
func (e *Error) Unwrap() error { return e.cause }

// Show returns the error, the lines of the file that lead to it, and a caret below the place:
// several lines of text for a terminal.
func (e *Error) Show() string {
	text := e.Error() + "\n"
	width := len(strconv.Itoa(e.Line))
	for i, line := range e.shown {
		text += fmt.Sprintf("  %*d | %s\n", width, e.Line-len(e.shown)+1+i, line)
	}
	if len(e.shown) > 0 {
		before := []rune(e.shown[len(e.shown)-1])[:e.Column-1]
		for i, r := range before {
			if r != '\t' {
				before[i] = ' '
			}
		}
		carets := strings.Repeat("^", max(1, e.Width))
		text += fmt.Sprintf("  %*s | %s%s\n", width, "", string(before), carets)
	}
	return text
}

// ErrorAt returns an error whose caret is below the first occurrence of place in the
// instruction's lines, or below its keyword. The rest is as for fmt.Errorf.
func (in *Instruction) ErrorAt(place, format string, args ...any) *Error {
	e := &Error{File: in.file.Name, First: in.First, Last: in.Last}
	err := fmt.Errorf(format, args...)
	e.Message, e.cause = err.Error(), errors.Unwrap(err)
	place, _, _ = strings.Cut(place, "\n")
	for e.Line = in.First; e.Line < in.Last; e.Line++ {
		if place != "" && strings.Contains(in.file.lines[e.Line-1], place) {
			break
		}
	}
	at := strings.Index(in.file.lines[e.Line-1], place)
	if place == "" || at < 0 {
		e.Line, place = in.First, in.Keyword
		at = max(0, strings.Index(in.file.lines[e.Line-1], place))
	}
	line := in.file.lines[e.Line-1]
	e.Column, e.Width = len([]rune(line[:at]))+1, len([]rune(place))
	for n := max(in.First, e.Line-3); n <= e.Line; n++ {
		e.shown = append(e.shown, printableLine(in.file.lines[n-1]))
	}
	return e
}

// printableLine replaces control characters, which a terminal would obey.
func printableLine(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return '\uFFFD'
		}
		return r
	}, strings.TrimRight(line, "\r\n"))
}

func (f *File) lineError(line int, place, format string, args ...any) error {
	return (&Instruction{file: f, First: line, Last: line}).ErrorAt(place, format, args...)
}
