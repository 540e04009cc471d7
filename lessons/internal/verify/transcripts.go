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
	Name     string // below the repository's root
	Stage    stages.Stage
	Programs []string // packages that are typed as commands too
}

// Programs are the packages besides box that a stage's lesson has one build.
var Programs = map[string][]string{"network": {"lessons/web"}, "daemon": {"lessons/web"}}

// Surprises is the page of facts that good guesses get wrong.
const Surprises = "lessons/surprises.md"

// Pages are the lesson of each stage, and with the last stage's box the README and the page of
// surprises.
func Pages(all []stages.Stage) (pages []Page) {
	for _, s := range all {
		pages = append(pages, Page{s.Lesson(), s, Programs[s.Topic]})
	}
	last := all[len(all)-1]
	return append(pages, Page{"README.md", last, nil}, Page{Surprises, last, []string{"lessons/ask", "lessons/web"}})
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
	report, err := p.run(root, string(text))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", p.Name, err)
	}
	for _, finding := range report.Findings {
		found = append(found, Finding{p.Name, finding.Error()})
	}
	return found, report.Ran, nil
}

// run runs the sessions of a page's text.
func (p Page) run(root, text string) (transcript.Report, error) {
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
	ctx := context.Background()
	if err := p.Stage.Build(ctx, filepath.Join(bin, "box")); err != nil {
		return transcript.Report{}, err
	}
	for _, dir := range p.Programs {
		if err := stages.Compile(ctx, root, "./"+dir, filepath.Join(bin, filepath.Base(dir))); err != nil {
			return transcript.Report{}, err
		}
	}
	return transcript.Session{Bin: bin, User: 65534, Patience: 5 * time.Minute}.Run(blocks)
}
