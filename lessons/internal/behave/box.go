package behave

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Box is the binary under test, in the hands of one person for one check.
type Box struct {
	Dir string // empty, and the person's own
	kernel
	person

	ctx       context.Context
	path      string       // of the binary, or of the script around it
	group2    *os.File     // the group of version 2 to start runs in, or nil for ours
	forgotten *os.File     // open as descriptor 9 in every run, as if the caller had not thought of it
	ran       []string     // the command lines
	live      []*Container // not waited for yet
	place     *workplace
	ready     bool  // the first run that needs the image tiny finds it in the store
	fault     error // a run that did not end when its input did, or a store that was not made
	sessions  []int // in which something may run: the numbers of their first processes
}

// store is where a binary that keeps state keeps it, for this check alone.
func (b *Box) store() string { return b.Dir + "-store" }

// Run runs the binary to its end, with nothing on standard input.
func (b *Box) Run(args ...string) Ended { return b.prepare(b.path, args...).toItsEnd() }

// Feed runs the binary to its end, with text on standard input.
func (b *Box) Feed(text string, args ...string) Ended {
	r := b.prepare(b.path, args...)
	r.Stdin = strings.NewReader(text)
	return r.toItsEnd()
}

// left are the processes in the sessions of the runs. An empty session is forgotten at
// once: its number may be a stranger's next time.
func (b *Box) left() ([]int, error) {
	processes, err := b.processes()
	if err != nil {
		return nil, err
	}
	var left, sessions []int
	for _, c := range b.live {
		sessions = append(sessions, c.Process.Pid)
	}
	strangers := b.place.sessions.others(b.Dir)
	for _, p := range processes {
		// The first process of a run that is not live has been waited for. So one with its
		// number is a stranger's.
		if p.pid == p.session && !slices.Contains(sessions, p.pid) {
			strangers[p.pid] = true
		}
	}
	for _, p := range processes {
		if slices.Contains(b.sessions, p.session) && !strangers[p.session] {
			left, sessions = append(left, p.pid), append(sessions, p.session)
		}
	}
	b.sessions = sessions
	return left, nil
}

// sessions says which check has started the last session of a number, by the check's
// directory. When a number is given again, the session that had it before is empty.
type sessions struct {
	mutex sync.Mutex
	check map[int]string
}

func (s *sessions) begin(session int, check string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.check == nil {
		s.check = map[int]string{}
	}
	s.check[session] = check
}

// others are the sessions of other checks.
func (s *sessions) others(check string) map[int]bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	others := map[int]bool{}
	for session, owner := range s.check {
		if owner != check {
			others[session] = true
		}
	}
	return others
}

// end ends what still runs: a container by the end of its input, the rest by force.
func (b *Box) end() error {
	for _, c := range slices.Clone(b.live) {
		if e := c.Stop(); e.Err != nil {
			b.fault = e.Err
		}
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		left, err := b.left()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
				return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
			}
		}
		time.Sleep(time.Millisecond) // they are others' children: their end is not announced here
	}
	return fmt.Errorf("processes in the sessions %v do not end", b.sessions)
}

// typed is a command line as one would type it.
func (b *Box) typed(words ...string) string {
	for i, word := range words {
		if word == b.path {
			word = "box"
		}
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quote is a word for a shell.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
