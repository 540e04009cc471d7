package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

// Show prints the lines of the log at a path, each to the stream that the container printed it to.
// At its end it waits while more, which may be nil, reports that the container still runs. It is no
// error that there is no log: the container has printed nothing, or to its caller alone.
func (s *Selection) Show(path string, stdout, stderr io.Writer, more func() bool) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := s.Seek(file); err != nil {
		return err
	}
	if runs := more; runs != nil {
		more = func() bool { return runs() && !s.IsOver(time.Now()) }
	}
	return Read(context.Background(), file, more, func(line Line) error {
		to := stdout
		if line.Stream == "stderr" {
			to = stderr
		}
		_, err := io.WriteString(to, s.Text(line))
		return err
	})
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
