package behave

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Box is the binary under test, in the hands of one person for one check.
type Box struct {
	Dir string // empty, and the person's own
	kernel
	person

	ctx      context.Context
	path     string       // of the binary, or of the script around it
	leak     *os.File     // open in every run as descriptor 9, as if the caller had forgotten it
	ran      []string     // the command lines, as one would type them
	sessions []int        // one for each run, with the number of its first process
	live     []*Container // not waited for yet
}

// Run runs the binary to its end, with nothing on standard input.
func (b *Box) Run(args ...string) Ended { return b.run(b.path, args...).toItsEnd() }

// Feed runs the binary to its end, with text on standard input.
func (b *Box) Feed(text string, args ...string) Ended {
	r := b.run(b.path, args...)
	r.Stdin = strings.NewReader(text)
	return r.toItsEnd()
}

// Around runs a shell script in new namespaces of which this person is root, as on a small
// host of their own. In it, $0 is the binary.
func (b *Box) Around(namespaces uintptr, script string) Ended {
	r := b.run("sh", "-c", script, b.path)
	r.SysProcAttr.Cloneflags = namespaces
	r.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: b.uid, Size: 1}}
	r.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: b.gid, Size: 1}}
	return r.toItsEnd()
}

// left are the processes that runs have left behind.
func (b *Box) left() ([]int, error) {
	processes, err := b.processes()
	if err != nil {
		return nil, err
	}
	var left []int
	for _, p := range processes {
		if slices.Contains(b.sessions, p.session) {
			left = append(left, p.pid)
		}
	}
	return left, nil
}

// end ends what still runs: a container by the end of its input, the rest by force.
func (b *Box) end() error {
	for _, c := range slices.Clone(b.live) {
		c.Stop()
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
