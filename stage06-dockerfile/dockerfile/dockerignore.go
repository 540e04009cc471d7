// The files of a build's context that the builder does not see: .dockerignore, or the file
// beside the Dockerfile that has its name and .dockerignore after it. The reference describes
// the patterns: those of Go's filepath.Match, with ** for any number of directories, and with
// ! for an exception. The last pattern that matches decides.

package dockerfile

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Ignore is a list of patterns.
type Ignore struct {
	lock    sync.Mutex
	matcher *patternmatcher.PatternMatcher
	parents map[string]patternmatcher.MatchInfo // of the directories asked about so far
}

// ParseIgnore parses patterns, one a line; a # begins a comment. Messages call the file name.
func ParseIgnore(name string, src []byte) (*Ignore, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(src))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, pattern := range patterns {
		if _, err := patternmatcher.New([]string{pattern}); err != nil {
			return nil, fmt.Errorf("%s: %q is not a pattern: %w", name, pattern, err)
		}
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Ignore{matcher: matcher, parents: map[string]patternmatcher.MatchInfo{}}, nil
}

// Ignores reports whether the builder must not see a file or directory, whose path below the
// context has slashes. If whole is false, an ignored directory may contain exceptions; then it
// exists for the builder only if something in it does.
func (g *Ignore) Ignores(name string, isDir bool) (ignored, whole bool, err error) {
	g.lock.Lock()
	defer g.lock.Unlock()
	info, ignored, err := g.match(path.Clean(name))
	if err != nil {
		return false, false, fmt.Errorf("%s: is it ignored? %w", name, err)
	}
	if isDir {
		g.parents[path.Clean(name)] = info
	}
	return ignored, ignored && isDir && !g.exceptionsBelow(path.Clean(name)), nil
}

// match asks from the top down: an exception for a directory applies to its content.
func (g *Ignore) match(name string) (info patternmatcher.MatchInfo, ignored bool, err error) {
	if name == "." {
		return info, false, nil
	}
	dir := path.Dir(name)
	parent, known := g.parents[dir]
	if !known {
		if parent, _, err = g.match(dir); err != nil {
			return info, false, err
		}
		g.parents[dir] = parent
	}
	ignored, info, err = g.matcher.MatchesUsingParentResults(name, parent)
	return info, ignored, err
}

// exceptionsBelow reports whether a pattern with ! could match something in a directory.
func (g *Ignore) exceptionsBelow(dir string) bool {
	for _, p := range g.matcher.Patterns() {
		pattern := p.String()
		fixed := pattern
		if wild := strings.IndexAny(pattern, `*?[\`); wild >= 0 {
			fixed = pattern[:wild]
		}
		within := strings.HasPrefix(fixed, dir+"/")
		wild := fixed != pattern && strings.HasPrefix(dir+"/", fixed)
		if p.Exclusion() && (within || wild) {
			return true
		}
	}
	return false
}
