package verify

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"stagebox/lessons/internal/stages"
)

// phrase is a turn that makes a reader stop: words that sound translated, or that leave out who
// does something. Some are right now and then, so there may be some, and not more than there are.
// Each is looked for in one line and the line's end before it.
type phrase struct {
	name    string
	pattern *regexp.Regexp
	before  int // in commit eaf0145, before any was mended
	most    int
}

var phrases = []phrase{
	{"shall", regexp.MustCompile(`\bshall\b`), 49, 4},
	{"stands, for is", regexp.MustCompile(`\bstands? (?:in|after|on|behind|below|beside|before|at|there|near|around)\b|\bstood in\b`), 36, 3},
	{"told, without by whom", regexp.MustCompile(`\b(?:is|are|was|were|be|been) told\b|\btells (?:of|about|an?|who|how|why|what|its|figures)\b`), 63, 6},
	{"tells whether", regexp.MustCompile(`\btells whether\b|// \w+ is whether\b`), 75, 2},
	{"nobody, somebody, whoever", regexp.MustCompile(`(?:^|[\s(])(?:[Nn]obody|[Ss]omebody|[Ww]hoever)(?:'s)?[ ,.;]`), 193, 16},
	{"is none, is no", regexp.MustCompile(`\b(?:what|that|which|it|one|yet) is none\b|\bis nothing for\b|\b(?:that|which) (?:is|are) no (?:[a-kn-z]|le|li)`), 15, 1},
	{"usual", regexp.MustCompile(`\b[Uu]sual\b|\busual[A-Z]`), 29, 2},
	{"anew, for ever, at the most", regexp.MustCompile(`\banew\b|\bfor ever\b|\bto and fro\b|\bat the most\b`), 31, 3},
	{"inverted order", regexp.MustCompile(`\bSo (?:it is|are|do|does) with\b|\bone is to\b|\bby oneself\b|\bwhom they\b`), 4, 0},
	{"What … as a subject", regexp.MustCompile(`(?m)(?:^|[.;] |\* )What (?:is|was|comes|has|it|the|a|came|cannot|must)\b[^?\n]*$`), 44, 4},
	{"private words", regexp.MustCompile(`\b(?:walls?|tapes?|leash|reigns?|tenants?)\b`), 104, 10},
}

// plainEnglish counts the phrases in code and prose.
func plainEnglish(root string, _ []stages.Stage) ([]Finding, error) {
	counts, err := countPhrases(root)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for i, p := range phrases {
		if places := counts[i]; len(places) > p.most {
			found = append(found, Finding{places[len(places)-1],
				fmt.Sprintf("%q occurs %d times in code and prose, and %d are the most: put it plainly", p.name, len(places), p.most)})
		}
	}
	return found, nil
}

// plainLeft lists how often each phrase occurs.
func plainLeft(all []stages.Stage) (lines []string, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	counts, err := countPhrases(filepath.Dir(all[0].Dir))
	for i, p := range phrases {
		lines = append(lines, fmt.Sprintf("%s: %d (of %d before)", p.name, len(counts[i]), p.before))
	}
	return lines, err
}

var quotedCode = regexp.MustCompile("(?s)<!-- code:.*?```go\n.*?\n```")

// countPhrases returns the places of each phrase. A flat file of a stage counts once, in the last
// stage that has it; tests, and code that a lesson quotes, do not count.
func countPhrases(root string) ([][]string, error) {
	counts, copies := make([][]string, len(phrases)), map[string]string{}
	visit := func(path string) error {
		text, err := os.ReadFile(filepath.Join(root, path))
		text = quotedCode.ReplaceAll(text, nil)
		for i, p := range phrases {
			for range p.occurrences(text) {
				counts[i] = append(counts[i], path)
			}
		}
		return err
	}
	err := filepath.WalkDir(root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, name := strings.TrimPrefix(strings.TrimPrefix(full, root), "/"), entry.Name()
		switch {
		case entry.IsDir() && path != "" && (name == "testdata" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case name == "phrases.go", strings.HasSuffix(name, "_test.go"):
			return nil
		case strings.HasSuffix(name, ".go") && strings.HasPrefix(path, "stage") && strings.Count(path, "/") == 1:
			copies[name] = path // stages come in their order
			return nil
		case strings.HasSuffix(name, ".go"), strings.HasSuffix(name, ".md"):
			return visit(path)
		}
		return nil
	})
	for _, path := range copies {
		if err == nil {
			err = visit(path)
		}
	}
	return counts, err
}

// occurrences is how often a phrase occurs. To look for the lines with a literal that it cannot do
// without, and for the pattern in these alone, is much faster than to look for the pattern everywhere.
func (p phrase) occurrences(text []byte) (n int) {
	needed := literals()[p.name]
	missing := func(line []byte) bool {
		return !slices.ContainsFunc(needed, func(l string) bool { return bytes.Contains(line, []byte(l)) })
	}
	if needed == nil {
		return len(p.pattern.FindAllIndex(text, -1))
	}
	if missing(text) {
		return 0
	}
	for line := range bytes.Lines(text) {
		if !missing(line) {
			n += len(p.pattern.FindAllIndex(append([]byte("\n"), line...), -1))
		}
	}
	return n
}

// literals are, by a phrase's name, texts of which each place of the phrase has one.
var literals = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for _, p := range phrases {
		if parsed, err := syntax.Parse(p.pattern.String(), syntax.Perl); err == nil { // regexp has parsed it, too
			all[p.name] = needed(parsed)
		}
	}
	return all
})

// needed are texts of which each match of an expression has one; nil when there need be none.
func needed(re *syntax.Regexp) (texts []string) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []string{string(re.Rune)}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return needed(re.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			some := needed(sub)
			if some == nil {
				return nil
			}
			texts = append(texts, some...)
		}
	case syntax.OpConcat: // the part whose texts are longest is the rarest
		for _, sub := range re.Sub {
			if some := needed(sub); shortest(some) > shortest(texts) {
				texts = some
			}
		}
	}
	return texts
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	return len(slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }))
}
