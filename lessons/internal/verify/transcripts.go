package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/transcript"
)

// Page is one on which sessions are shown, and the stage whose box they are typed to.
type Page struct {
	Name  string // below the repository's root
	Stage stages.Stage
}

// Pages are the lesson of each stage, and the README, with the last stage's box.
func Pages(all []stages.Stage) (pages []Page) {
	for _, s := range all {
		pages = append(pages, Page{s.Lesson(), s})
	}
	return append(pages, Page{"README.md", all[len(all)-1]})
}

// Transcripts runs the sessions of all pages, or of one stage's lesson. It returns how many
// steps were compared as well.
func Transcripts(root string, all []stages.Stage, only int) (found []Finding, steps int, err error) {
	for _, page := range Pages(all) {
		if only != 0 && (page.Stage.Number != only || page.Stage.Lesson() != page.Name) {
			continue
		}
		f, n, err := page.Sessions(root)
		if err != nil {
			return nil, 0, err
		}
		found, steps = append(found, f...), steps+n
	}
	return found, steps, nil
}

// Sessions runs the page's sessions, in which each command may take some minutes: the clock
// does not tell a busy host from a command that hangs. Pages may run side by side.
func (p Page) Sessions(root string) (found []Finding, steps int, err error) {
	text, err := readBytes(root, p.Name)
	if err != nil {
		return nil, 0, err
	}
	report, err := sessions(p.Stage, string(text))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", p.Name, err)
	}
	for _, finding := range report.Findings {
		found = append(found, Finding{p.Name, finding.Error()})
	}
	return found, report.Ran, nil
}

// sessions runs the sessions of one page.
func sessions(s stages.Stage, text string) (transcript.Report, error) {
	blocks, err := transcript.Parse(text)
	if err != nil {
		return transcript.Report{}, err
	}
	bin, err := os.MkdirTemp("", "stagebox-verify")
	if err != nil {
		return transcript.Report{}, err
	}
	defer os.RemoveAll(bin)
	if err := os.Chmod(bin, 0o755); err != nil {
		return transcript.Report{}, err
	}
	if err := s.Build(context.Background(), filepath.Join(bin, "box")); err != nil {
		return transcript.Report{}, err
	}
	return transcript.Session{Bin: bin, User: 65534, Patience: 5 * time.Minute}.Run(blocks)
}
