package site

import (
	"go/scanner"
	"go/token"
	"slices"
	"strings"
)

// colourGo does what colour does, for Go. Most of the site is Go, and Go's own scanner takes a
// twentieth of the time that a lexer made of regular expressions does.
func colourGo(text string) []string {
	if text == "" {
		return nil
	}
	text = strings.TrimSuffix(text, "\n")
	lines := lineWriter{done: make([]string, 0, 1+strings.Count(text, "\n"))}
	written := 0
	tokens := goTokens(text)
	for i, t := range tokens {
		lines.write("", text[written:t.start])
		lines.write(t.class(tokens[:i], tokens[i+1:]), text[t.start:t.end])
		written = t.end
	}
	lines.write("", text[written:])
	return append(lines.done, lines.line.String())
}

// goToken is where a token is in its text.
type goToken struct {
	token.Token
	text       string
	start, end int
}

// goTokens are a text's, its comments too. The text may be a piece of a program, and wrong: what
// the scanner makes nothing of is in no token.
func goTokens(text string) (tokens []goToken) {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, scanner.ScanComments)
	for {
		pos, kind, literal := s.Scan()
		start := file.Offset(pos)
		switch {
		case kind == token.EOF:
			return tokens
		case kind == token.SEMICOLON && literal == "\n", kind == token.ILLEGAL:
			continue // it is not in the text
		case literal == "":
			literal = kind.String()
		}
		end := min(start+len(literal), len(text)) // a literal is without its carriage returns
		tokens = append(tokens, goToken{kind, literal, start, end})
	}
}

// Names that Go itself gives a meaning.
var (
	goTypes = strings.Fields(`any bool byte comparable complex64 complex128 error float32 float64 int int8 int16 int32 int64
		rune string uint uint8 uint16 uint32 uint64 uintptr`)
	goConstants = []string{"true", "false", "iota", "nil"}
)

// class is the style sheet's name for what a token is, as for other languages. A name before a
// parenthesis is a function's, or a type's that converts; one after a period is never Go's own.
func (t goToken) class(before, after []goToken) string {
	called := len(after) > 0 && after[0].Token == token.LPAREN
	selected := len(before) > 0 && before[len(before)-1].Token == token.PERIOD
	switch {
	case t.IsKeyword(), t.Token == token.IDENT && !selected && slices.Contains(goConstants, t.text):
		return "k"
	case t.Token == token.COMMENT:
		return "c"
	case t.Token == token.STRING, t.Token == token.CHAR:
		return "s"
	case t.Token == token.INT, t.Token == token.FLOAT, t.Token == token.IMAG:
		return "m"
	case t.Token == token.IDENT && called:
		return "f"
	case t.Token == token.IDENT && !selected && slices.Contains(goTypes, t.text):
		return "t"
	}
	return ""
}

// lineWriter writes lines of HTML.
type lineWriter struct {
	line strings.Builder // the last one, as far as it has come
	done []string
}

// write adds text, each line of it in a span of its own.
func (w *lineWriter) write(class, text string) {
	for {
		part, rest, more := strings.Cut(text, "\n")
		span(&w.line, class, part)
		if !more {
			return
		}
		w.done = append(w.done, w.line.String())
		w.line.Reset()
		text = rest
	}
}
