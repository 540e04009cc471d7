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

// Transcripts runs the sessions in the lesson of each stage, with that stage's box, and in
// the README, with the last one's. It returns how many steps were compared as well.
func Transcripts(root string, all []stages.Stage, only int) (found []Finding, steps int, err error) {
	pages := map[string]stages.Stage{"README.md": all[len(all)-1]}
	for _, s := range all {
		pages[s.Lesson()] = s
	}
	for page, s := range pages {
		if only != 0 && s.Lesson() != page || only != 0 && s.Number != only {
			continue
		}
		text, err := readBytes(root, page)
		if err != nil {
			return nil, 0, err
		}
		report, err := sessions(s, string(text))
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", page, err)
		}
		for _, finding := range report.Findings {
			found = append(found, Finding{page, finding.Error()})
		}
		steps += report.Ran
	}
	return found, steps, nil
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
	return transcript.Session{Bin: bin, User: 65534, Patience: 20 * time.Second}.Run(blocks)
}
