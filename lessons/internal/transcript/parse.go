// Package transcript runs the terminal sessions that lessons show, and compares what the
// terminal says with what the lesson says.
//
// A session is a fenced block whose info string begins with console:
//
//	```console as=root terminal=2
//	$ box run hostname
//	box
//	```
//
// A line that begins with "$ " or "# " is a prompt and what is typed at it. A line "^C" or
// "^Z" is that key, typed while a command runs. A line that ends in "[Enter]" is a prompt
// that Enter is the answer to; at the end of a block Enter is pressed where the next block of the
// same terminal begins, so that another terminal can look at what waits. All others are what the terminal shows. In them, "…" stands
// for any text, a line "…" for any number of lines, and ‹name› for digits that are kept
// under this name: later, also in what is typed, ‹name› is what was seen first. Two blanks
// or more stand for as many as there are.
//
// norun="WHY" keeps a block from being run. kernel=6.8 runs it on that kernel and later ones only,
// and if="COMMAND" only where the shell command succeeds.
//
// All blocks of a file share one working directory. Blocks of the same terminal and user
// are one session, which can stay inside a container from block to block.
package transcript

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Block is a recorded part of a session.
type Block struct {
	Line     int    // in its file, from 1
	Heading  string // under which it stands
	Terminal string
	As       string // "root", "user" or "" for the user who runs it
	NoRun    string // why it is shown and not run
	Kernel   string // the least one that does what is shown
	If       string // a shell command that fails where it cannot be run
	Steps    []Step
}

// Step is something typed and what is shown then. The first step of a block may have been
// typed in the block before: then Typed is nil.
type Step struct {
	Line   int
	Typed  *string
	Key    bool // "^C" or "^Z", pressed while something runs
	Expect []string
}

var (
	fence     = regexp.MustCompile("^```+(.*)$")
	heading   = regexp.MustCompile(`^#+ (.*)$`)
	attribute = regexp.MustCompile(`(\w+)=("[^"]*"|\S+)`)
	typed     = regexp.MustCompile(`^(?:sh-[0-9.]+)?[#$] (.*)$`)
	enter     = regexp.MustCompile(`\[Enter\]\s*$`)
)

// Parse finds the console blocks of a Markdown text.
func Parse(text string) ([]Block, error) {
	var blocks []Block
	under, inside, other := "", false, false
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && (inside || other):
			inside, other = false, false
		case m != nil && strings.HasPrefix(m[1], "console"):
			b, err := open(m[1], i+1, under)
			if err != nil {
				return nil, err
			}
			blocks, inside = append(blocks, b), true
		case m != nil:
			other = true
		case inside:
			blocks[len(blocks)-1].add(line, i+1)
		case !other && heading.MatchString(line):
			under = heading.FindStringSubmatch(line)[1]
		}
	}
	if inside {
		return nil, fmt.Errorf("line %d: the console block is not closed", blocks[len(blocks)-1].Line)
	}
	for i := range blocks {
		delayEnter(&blocks[i], blocks[i+1:])
	}
	return blocks, nil
}

// delayEnter moves an Enter at the end of a block to the beginning of the session's next one.
func delayEnter(b *Block, later []Block) {
	end := len(b.Steps) - 1
	if end < 1 || b.Steps[end].Typed == nil || *b.Steps[end].Typed != "" || len(b.Steps[end].Expect) > 0 {
		return
	}
	next := slices.IndexFunc(later, func(other Block) bool {
		return other.Terminal == b.Terminal && other.As == b.As && other.NoRun == "" && len(other.Steps) > 0
	})
	if next < 0 {
		return
	}
	press, steps := b.Steps[end], &later[next].Steps
	b.Steps = b.Steps[:end]
	if (*steps)[0].Typed == nil {
		(*steps)[0].Typed = press.Typed
	} else {
		*steps = slices.Insert(*steps, 0, press)
	}
}

// open reads the info string of a block.
func open(info string, line int, under string) (Block, error) {
	b := Block{Line: line, Heading: under, Terminal: "1"}
	for _, m := range attribute.FindAllStringSubmatch(info, -1) {
		value := strings.Trim(m[2], `"`)
		switch m[1] {
		case "terminal":
			b.Terminal = value
		case "as":
			b.As = value
		case "norun":
			b.NoRun = value
		case "kernel":
			b.Kernel = value
		case "if":
			b.If = value
		default:
			return b, fmt.Errorf("line %d: a console block has no %s=; there are terminal=, as=, norun=, kernel= and if=", line, m[1])
		}
	}
	if b.As != "" && b.As != "root" && b.As != "user" {
		return b, fmt.Errorf("line %d: as=%s: it is root or user", line, b.As)
	}
	return b, nil
}

// add reads a line of a block.
func (b *Block) add(line string, n int) {
	step := func(text string, key bool) {
		b.Steps = append(b.Steps, Step{Line: n, Typed: &text, Key: key})
	}
	if m := typed.FindStringSubmatch(line); m != nil {
		step(m[1], false)
		return
	}
	if line == "^C" || line == "^Z" {
		step(line, true)
		return
	}
	if len(b.Steps) == 0 {
		b.Steps = append(b.Steps, Step{Line: n})
	}
	last := &b.Steps[len(b.Steps)-1]
	last.Expect = append(last.Expect, line)
	if enter.MatchString(line) {
		step("", false)
	}
}
