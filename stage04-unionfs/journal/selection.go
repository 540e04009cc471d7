package journal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Selection is the lines of a log to show, and how. Its flags are those of docker logs.
type Selection struct {
	Tail       string `short:"n" help:"Print only the last N lines." default:"all" placeholder:"N"`
	Since      string `help:"Print only output since a time: 10m for ten minutes ago, a date and time, or Unix seconds." placeholder:"TIME"`
	Until      string `help:"Print only output before a time." placeholder:"TIME"`
	Timestamps bool   `short:"t" help:"Print a timestamp before each line."`

	lines        int
	since, until time.Time
	inLine       map[string]bool // of a stream: its last line has no end yet
}

// Parse reads the flags.
func (s *Selection) Parse(now time.Time) (err error) {
	s.inLine = map[string]bool{}
	for _, flag := range []struct {
		name, text string
		to         *time.Time
	}{{"--since", s.Since, &s.since}, {"--until", s.Until, &s.until}} {
		if flag.text == "" {
			continue
		}
		if *flag.to, err = ParseTime(flag.text, now); err != nil {
			return fmt.Errorf("%s %w", flag.name, err)
		}
	}
	if s.lines = -1; s.Tail == "all" {
		return nil
	}
	if s.lines, err = strconv.Atoi(s.Tail); err != nil {
		return fmt.Errorf("--tail %s: give a number of lines, or all", s.Tail)
	}
	return nil
}

// Seek goes to the first of the last lines.
func (s *Selection) Seek(log io.ReadSeeker) error {
	if s.lines < 0 { // as in Docker: all
		return nil
	}
	return Tail(log, s.lines)
}

// IsOver reports whether no later line can belong to the selection.
func (s *Selection) IsOver(now time.Time) bool { return !s.until.IsZero() && now.After(s.until) }

// Text is what to print of a line. Of one that was too long for a line of the log, only the first
// part gets the time.
func (s *Selection) Text(line Line) string {
	if line.Time.Before(s.since) || s.IsOver(line.Time) {
		return ""
	}
	text := line.Log
	if s.Timestamps && !s.inLine[line.Stream] {
		text = line.Time.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + text
	}
	s.inLine[line.Stream] = !strings.HasSuffix(text, "\n")
	return text
}
