// What of a build's context the builder does not see: .dockerignore, or for another
// Dockerfile the file beside it that is called the same with .dockerignore after it. The
// reference describes the patterns: those of Go's filepath.Match, with ** for any number
// of directories, and with ! for an exception; the last that matches counts.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Ignore is a list of patterns. It is not for use by two at once.
type Ignore struct {
	matcher *patternmatcher.PatternMatcher
	parents map[string]patternmatcher.MatchInfo // of the directories that were asked for
}

// ignoreFor reads the patterns for a Dockerfile, given by its path or "", and a context
// directory. Where there is neither file, nothing is ignored.
func ignoreFor(dockerfile, context string) (*Ignore, error) {
	name := dockerfile + ".dockerignore"
	src, err := os.ReadFile(name)
	if dockerfile == "" || errors.Is(err, fs.ErrNotExist) {
		name = ".dockerignore"
		src, err = readInContext(context, name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the patterns to ignore: %w", err)
	}
	return parseIgnore(name, src)
}

// readInContext follows no link out of the context, which may come from a stranger.
func readInContext(context, name string) (src []byte, err error) {
	file, err := os.OpenInRoot(context, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(file)
}

// parseIgnore parses patterns, one a line; a # begins a comment.
func parseIgnore(name string, src []byte) (*Ignore, error) {
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
	return &Ignore{matcher, map[string]patternmatcher.MatchInfo{}}, nil
}

// ignored tells whether a file or directory, given by its path below the context with
// slashes, is not to be seen. A directory of which whole is false may hold exceptions: it
// is there only if something in it is.
func (g *Ignore) ignored(name string, isDir bool) (ignored, whole bool, err error) {
	info, ignored, err := g.match(path.Clean(name))
	if err != nil {
		return false, false, fmt.Errorf("%s: is it ignored? %w", name, err)
	}
	if isDir {
		g.parents[path.Clean(name)] = info
	}
	return ignored, ignored && isDir && !g.exceptionsBelow(path.Clean(name)), nil
}

// match asks from the top down: an exception for a directory holds for what is in it.
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

// exceptionsBelow tells whether a pattern with ! could match something in a directory.
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
