package present

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/lessons/internal/transcript"
)

const lesson = `# A lesson

## Count

Before the first:

'''console
$ n=1; echo n is $n
n is 1
$ n=$((n+1)); echo n is $n
n is 2
'''

## And wait

Before the second:

'''console terminal=2
$ echo other
other
'''

'''console
$ n=$((n+1)); echo n is $n
n is 3
$ printf '      [Enter] '; read x; echo went on
      [Enter]
went on
$ echo not so
as the lesson says
'''
`

// audience sees what is shown, and presses keys.
type audience struct {
	t    *testing.T
	keys io.WriteCloser
	done chan error

	notes bytes.Buffer // to be read when the show is over

	mu   sync.Mutex
	seen bytes.Buffer
}

func (a *audience) Write(data []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen.Write(data)
}

// play starts a show of a lesson.
func play(t *testing.T, ctx context.Context, markdown string) *audience {
	title, scenes, err := Script(strings.ReplaceAll(markdown, "'''", "```"))
	require.NoError(t, err)
	t.Setenv("TMPDIR", t.TempDir())
	keys, press := io.Pipe()
	a := &audience{t: t, keys: press, done: make(chan error, 1)}
	show := Show{Title: title, Scenes: scenes, Notes: &a.notes, Width: func() int { return 80 },
		Session: transcript.Session{Bin: "/nonexistent", User: 65534, Patience: 5 * time.Minute}}
	go func() { a.done <- show.Run(ctx, keys, a) }()
	t.Cleanup(func() { press.Close() })
	return a
}

// press presses a key and waits until the screen says something after it.
func (a *audience) press(key, says string) string {
	a.t.Helper()
	a.mu.Lock()
	a.seen.Reset()
	a.mu.Unlock()
	if key != "" {
		_, err := io.WriteString(a.keys, key)
		require.NoError(a.t, err)
	}
	return a.sees(says)
}

func (a *audience) sees(says string) (text string) {
	a.t.Helper()
	defer func() {
		if a.t.Failed() {
			a.t.Logf("%q", text)
		}
	}()
	require.Eventually(a.t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		text = a.seen.String()
		return strings.Contains(text, says)
	}, 5*time.Minute, 5*time.Millisecond, says)
	return text
}

// left is what a show has left in the directory of temporary files.
func left(t *testing.T) []string {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	return found
}

func TestAShow(t *testing.T) {
	a := play(t, t.Context(), lesson)
	text := a.sees("0/7")
	require.Regexp(t, `A lesson.*\n.*Count.*\n(?s:.*)n=1; echo n is \$n`, text)
	require.NotContains(t, bare(text), "Before the first:", "what the speaker says is not for the audience")
	require.Contains(t, a.press(" ", "1/7"), "$ n=1; echo n is $n\r\nn is 1\r\n")
	text = a.press("\r", "2/7")
	require.Contains(t, text, "n is 2\r\n")
	require.Regexp(t, `And wait(?s:.*)terminal 2`, text)
	_, err := io.WriteString(a.keys, "x") // which is not a key
	require.NoError(t, err)
	require.Contains(t, a.press("\x1b[C", "3/7"), "other\r\n")
	require.Contains(t, a.press(" ", "4/7"), "n is 3\r\n")
	require.Contains(t, a.press(" ", "5/7"), "[Enter]")
	require.Contains(t, a.press(" ", "6/7"), "went on\r\n")
	require.Contains(t, bare(a.press(" ", "7/7")), "(The lesson shows something else here")
	a.keys.Close()
	require.NoError(t, <-a.done)
	require.Empty(t, left(t))
	require.Regexp(t, `(?s)scene 1, line \d+: Count\nBefore the first:\n\nscene 2, .*And wait\nBefore the second:`, a.notes.String())
}

// bare is text without the marks for faint words.
func bare(text string) string {
	return strings.NewReplacer(faint, "", plainly, "").Replace(text)
}

func TestBackAndAgain(t *testing.T) {
	boxtest.Turn(t, 1, 3)
	a := play(t, t.Context(), lesson)
	a.sees("0/7")
	a.press(" ", "1/7")
	a.press(" ", "2/7")
	require.Contains(t, a.press("b", "1/7"), "n is 1\r\n", "what the scene has shown before is shown again")
	require.Contains(t, a.press(" ", "2/7"), "n is 2\r\n", "in a new shell, which has counted to one")
	require.NotContains(t, a.press("r", "0/7"), "n is 1\r\n")
	require.Contains(t, a.press(" ", "1/7"), "n is 1\r\n")
	a.press("q", "")
	require.NoError(t, <-a.done)
	require.Empty(t, left(t))
}

// TestJumps goes to scenes by their numbers; a number that is too large is the last scene's.
func TestJumps(t *testing.T) {
	boxtest.Turn(t, 0, 3)
	a := play(t, t.Context(), lesson)
	a.sees("scene 1 of 3")
	a.press("3", "scene 3 of 3: Enter")
	require.NotContains(t, a.press("g", " 3/7"), "n is 3")
	require.Contains(t, a.press(" ", " 4/7"), "n is 3\r\n", "what comes before was run")
	a.press("2", "scene 2 of 3: Enter")
	require.Contains(t, a.press("\r", " 2/7"), "scene 2 of 3")
	a.press("4", "scene 4 of 3: Enter")
	a.press("2", "scene 42 of 3: Enter")
	a.press("g", " 3/7")
	a.press("1", "scene 1 of 3: Enter")
	a.press("b", " 2/7") // another key forgets the number
	a.press("q", "")
	require.NoError(t, <-a.done)
	require.Empty(t, left(t))
}

func TestWhatIsOtherwiseIsSaid(t *testing.T) {
	a := play(t, t.Context(), "# T\n\n'''console\n$ echo one\ntwo\n'''\n")
	a.sees("0/1")
	text := a.press(" ", "1/1")
	require.Contains(t, text, "one\r\n")
	require.Contains(t, bare(text), "(The lesson shows something else here")
	require.Contains(t, text, "the end of the lesson")
	a.press("q", "")
	require.NoError(t, <-a.done)
}

// TestQuittingWhileSomethingRuns is by a key, and by what a signal does.
func TestQuittingWhileSomethingRuns(t *testing.T) {
	boxtest.Turn(t, 2, 3)
	for name, quit := range map[string]func(a *audience, cancel func()){
		"key":    func(a *audience, cancel func()) { a.press("\x03", "") },
		"signal": func(a *audience, cancel func()) { cancel() },
		"hangup": func(a *audience, cancel func()) { a.keys.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a := play(t, ctx, "# T\n\n'''console\n$ echo begun; sleep 1000\n'''\n")
			a.sees("0/1")
			a.press(" ", "begun\r\n")
			quit(a, cancel)
			require.NoError(t, <-a.done)
			require.Empty(t, left(t))
		})
	}
}

func TestNothingThatCanBeRun(t *testing.T) {
	a := play(t, t.Context(), "# T\n\n'''console norun=\"needs the moon\"\n$ true\n'''\n")
	require.ErrorContains(t, <-a.done, "nothing in this lesson can be run")
}
