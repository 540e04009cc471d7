package transcript

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// play runs sessions, with more patience than any of them needs on a busy host.
func play(t *testing.T, markdown string) Report { return playFor(t, 5*time.Minute, markdown) }

func playFor(t *testing.T, patience time.Duration, markdown string) Report {
	blocks, err := Parse(strings.ReplaceAll(markdown, "'''", "```"))
	require.NoError(t, err)
	report, err := Session{Bin: "/nonexistent", User: 65534, Patience: patience}.Run(blocks)
	require.NoError(t, err)
	return report
}

func TestSessionsThatAreTrue(t *testing.T) {
	boxtest.Turn(t, 0, 3)
	t.Parallel()
	for name, text := range map[string]string{
		"output":            "'''console\n$ echo hello; echo world\nhello\nworld\n$ true\n$ echo again\nagain\n'''",
		"no output":         "'''console\n$ true\n'''",
		"wildcards":         "'''console\n$ seq 1 9\n1\n…\n9\n$ echo pid $$ here\npid … here\n'''",
		"columns":           "'''console\n$ echo 'a      b'\na  b\n'''",
		"a directory":       "'''console\n$ echo x > file\n'''\ntext\n'''console terminal=2\n$ cat file\nx\n'''",
		"a session":         "'''console\n$ PS1='# ' sh\n# x=5\n'''\n'''console terminal=2\n$ echo other\nother\n'''\n'''console\n# echo $x\n5\n# exit\n$ echo out\nout\n'''",
		"a number, kept":    "'''console\n$ echo $$\n‹pid›\n'''\n'''console terminal=2\n$ ps -o pid= -p ‹pid› | tr -d ' '\n‹pid›\n'''",
		"a key":             "'''console\n$ sleep 100\n^C\n$ echo $?\n130\n'''",
		"a stopped command": "'''console\n$ sleep 100\n^Z\n[1]…Stopped…\n$ kill %1\n…\n'''",
		"Enter":             "'''console\n$ printf '      [Enter] '; read x; printf '      look: y   [Enter] '; read x; echo done\n      [Enter]\n      look: y   [Enter]\n'''\n'''console\ndone\n$ true\n'''",
		"Enter, later":      "'''console\n$ printf '      [Enter] '; read x; echo done >made; printf '      [Enter] '; read x; PS1='# ' sh\n      [Enter]\n'''\n'''console terminal=2\n$ cat made\ncat: made: No such file or directory\n'''\n'''console\n      [Enter]\n'''\n'''console terminal=2\n$ cat made\ndone\n'''\n'''console\n# echo inside\ninside\n# exit\n'''",
		"not run":           "'''console norun=\"needs a registry\"\n$ rm -rf /\n'''",
		"other fences":      "'''sh\n$ false\n'''\n'''console\n$ echo yes\nyes\n'''",
	} {
		t.Run(name, func(t *testing.T) {
			for _, finding := range play(t, text).Findings {
				t.Error(finding)
			}
		})
	}
}

func TestSessionsThatAreNotTrue(t *testing.T) {
	boxtest.Turn(t, 1, 3)
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"another line":   {"# Head\n'''console\n$ echo hello\nhullo\n'''", `line 3, under "Head", after "echo hello"`},
		"a line more":    {"'''console\n$ echo hello\nhello\nworld\n'''", "the lesson shows"},
		"a line less":    {"'''console\n$ echo hello; echo world\nhello\n'''", "the terminal shows"},
		"another number": {"'''console\n$ echo 1\n‹n›\n$ echo 2\n‹n›\n'''", "the terminal shows"},
		"never seen":     {"'''console\n$ echo ‹n›\n1\n'''", "‹n› has not been seen before"},
	} {
		t.Run(name, func(t *testing.T) {
			report := play(t, c.text)
			require.Len(t, report.Findings, 1)
			require.ErrorContains(t, report.Findings[0], c.says)
		})
	}
}

func TestAHangingCommandIsGivenUp(t *testing.T) {
	boxtest.Turn(t, 2, 3)
	t.Parallel()
	const patience = 3 * time.Second
	report := playFor(t, patience, "'''console\n$ sleep 1000\n'''")
	require.Len(t, report.Findings, 1)
	require.ErrorContains(t, report.Findings[0], "no prompt after 3s")
}

func TestAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Equal(t, 1, play(t, "'''console as=root\n$ false\n'''").Left)
		return
	}
	require.Empty(t, play(t, "'''console as=user\n$ id -u\n65534\n'''\n'''console\n$ id -u\n0\n'''").Findings)
}

func TestNothingIsLeftOfASession(t *testing.T) {
	t.Parallel()
	mark := strconv.Itoa(900000000 + os.Getpid()) // the seconds of a sleep that nobody else has
	require.Zero(t, having(mark))
	require.Empty(t, play(t, "'''console\n$ sleep "+mark+" &\n…\n$ until pgrep -f 'sleep "+mark+"$' >/dev/null; do :; done; echo it runs\nit runs\n'''").Findings)
	require.Zero(t, having(mark))
}

func TestADirectoryThatLetsNobodyInIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	require.Empty(t, play(t, "'''console\n$ mkdir -p $BOX_ROOT/work/inner && chmod 0 $BOX_ROOT/work\n'''").Findings)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// having counts the processes with a word in their command line.
func having(word string) int {
	n := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, _ := os.ReadFile(path); strings.Contains(string(line), word) {
			n++
		}
	}
	return n
}

func TestBadBlocks(t *testing.T) {
	for text, says := range map[string]string{
		"```console as=me\n```":    "as=me: it is root or user",
		"```console color=on\n```": "has no color=",
		"```console\n$ true":       "is not closed",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, says)
	}
}

// TestLeftOut: a block is left out on an older kernel, and where its condition fails.
func TestLeftOut(t *testing.T) {
	out := func(info string) string {
		blocks, err := Parse("```console " + info + "\n$ true\n```\n")
		require.NoError(t, err)
		return Session{}.LeftOut(blocks[0])
	}
	require.Empty(t, out("kernel=2.6"))
	require.Equal(t, "needs Linux 99.0", out("kernel=99.0"))
	require.Empty(t, out(`if="true"`))
	require.Equal(t, "needs a host where this succeeds: exit 1", out(`if="exit 1"`))
	for _, v := range []struct {
		release, least string
		is             bool
	}{{"6.8.0-1-amd64", "6.8", true}, {"6.10.2", "6.9", true}, {"6.9", "6.10", false}, {"5.15.0", "6.2", false}, {"7.0-rc1", "6.14", true}} {
		require.Equal(t, v.is, isAtLeast(v.release, v.least), v)
	}
}
