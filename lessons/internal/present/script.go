// Package present plays the terminal sessions of a lesson for an audience: a command on a key,
// typed and run by the same code that verifies the lesson, so that what is shown is what was
// verified. Between commands the presenter can go back, repeat, and quit; going back tears all
// down and brings a fresh session to that place by what the lesson types before it.
package present

import (
	"regexp"
	"slices"
	"strings"

	"stagebox/lessons/internal/transcript"
)

// Scene is a block of a lesson with what the speaker may say before it.
type Scene struct {
	transcript.Block
	Note string // the paragraph above it, or else the one below, shortened
}

// Script reads a lesson: its title and its scenes.
func Script(markdown string) (title string, scenes []Scene, err error) {
	blocks, err := transcript.Parse(markdown)
	if err != nil {
		return "", nil, err
	}
	lines := strings.Split(markdown, "\n")
	for _, b := range blocks {
		above := slices.Clone(lines[:b.Line-1])
		slices.Reverse(above)
		note := paragraph(above)
		slices.Reverse(note)
		if len(note) == 0 {
			end := slices.Index(lines[b.Line:], "```") // Parse has seen it
			note = paragraph(lines[b.Line+end+1:])
		}
		scenes = append(scenes, Scene{b, shorten(plain(strings.Join(note, " ")))})
	}
	title, _ = strings.CutPrefix(lines[0], "# ")
	return title, scenes, nil
}

// paragraph is the first of some lines that is neither a table nor code; none when a heading
// or another session comes first.
func paragraph(lines []string) (found []string) {
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "#") || strings.HasPrefix(line, "```") || line == "" && len(found) > 0:
			return found
		case line == "" || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "    "):
		default:
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

var (
	reference = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	emphasis  = regexp.MustCompile(`\*+([^*]+)\*+`)
	sentence  = regexp.MustCompile(`[.?!:]\)? `)
)

// plain takes links and emphasis out of Markdown; backquotes are read well by people too.
func plain(text string) string {
	return strings.TrimPrefix(emphasis.ReplaceAllString(reference.ReplaceAllString(text, "$1"), "$1"), "* ")
}

const long = 280 // letters of a note

// shorten keeps the end of a paragraph, which leads to the session, by whole sentences.
func shorten(text string) string {
	rest := text
	for len(rest) > long {
		at := sentence.FindStringIndex(rest)
		if at == nil {
			return "… " + strings.ToValidUTF8(rest[len(rest)-long:], "")
		}
		rest = rest[at[1]:]
	}
	return rest
}
