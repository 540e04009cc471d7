package ui

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// show returns what a build prints into a file, which is not a terminal.
func show(t *testing.T, form string, quiet bool, build func(s *Steps)) string {
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	s := NewSteps(file, form, quiet)
	s.Total = 2
	build(s)
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	return string(text)
}

// step runs a step that prints one line.
func step(t *testing.T, s *Steps, text, note string, err error) {
	p := s.Begin("", text)
	p.Announce(note)
	out, errPipe := p.Output()
	require.NoError(t, errPipe)
	_, errPipe = out.File.WriteString("Permission denied\n")
	require.NoError(t, errPipe)
	out.Close()
	require.True(t, p.Printed("nothing", "permission denied"))
	p.End(err)
}

func TestPlainIsLineByLine(t *testing.T) {
	text := show(t, "auto", false, func(s *Steps) {
		step(t, s, "RUN a\n  b", "", nil)
		step(t, s, "RUN c", "it is new", errors.New("failed"))
	})
	require.Equal(t, "[1/2] RUN a b\n  Permission denied\n  done in 0.0s\n[2/2] RUN c  # it is new\n  Permission denied\n", text)
}

// A program that never ends a line cannot make box keep all that it prints.
func TestLongLineComesInPieces(t *testing.T) {
	long := strings.Repeat("x", 3*longest) + "\n"
	text := show(t, "plain", false, func(s *Steps) {
		p := s.Begin("", "RUN a")
		p.Announce("")
		out, err := p.Output()
		require.NoError(t, err)
		_, err = out.File.WriteString(long + "y\n")
		require.NoError(t, err)
		out.Close()
		for _, piece := range p.all {
			require.LessOrEqual(t, len(piece), longest)
		}
		s.Least = time.Hour
		p.End(nil)
	})
	require.Equal(t, "[1/2] RUN a\n  "+long+"  y\n", text)
}

// What was cached, or took less than it is worth to say, has no line with its time.
func TestFastStepsHaveNoTime(t *testing.T) {
	text := show(t, "plain", false, func(s *Steps) {
		p := s.Begin("base", "FROM x")
		p.Announce(Cached)
		p.End(nil)
		s.Least = time.Hour
		p = s.Begin("base", "RUN x")
		p.Announce("")
		require.Equal(t, 2, p.Number)
		p.End(nil)
	})
	require.Equal(t, "[base 1/2] FROM x  # CACHED\n[base 2/2] RUN x\n", text)
}

func TestQuietShowsOnlyWhatFailed(t *testing.T) {
	text := show(t, "tty", true, func(s *Steps) {
		step(t, s, "RUN a", "", nil)
		step(t, s, "RUN b", "", errors.New("failed"))
	})
	require.Equal(t, "Permission denied\n", text)
}

func TestTerminalIsDrawnInPlace(t *testing.T) {
	text := show(t, "tty", false, func(s *Steps) { step(t, s, "RUN a", "", nil) })
	require.Equal(t, "[1/2] RUN a \n"+
		"\033[1A\033[J[1/2] RUN a \n  Permission denied\n"+
		"\033[2A\033[J[1/2] RUN a 0.0s\n", text)
}

func TestCut(t *testing.T) {
	require.Equal(t, "äb", Cut("äb", 2))
	require.Equal(t, "ä…", Cut("äbc", 2))
	require.Equal(t, "…", Cut("abc", 0))
}

// A base image that was pulled can bring steps of its own.
func TestTotalGrows(t *testing.T) {
	text := show(t, "plain", false, func(s *Steps) {
		s.Least = time.Hour
		step(t, s, "FROM x", "", nil)
		s.Grow(1)
		step(t, s, "RUN a", "", nil)
	})
	require.Equal(t, "[1/2] FROM x\n  Permission denied\n[2/3] RUN a\n  Permission denied\n", text)
}
