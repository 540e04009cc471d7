package envfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	long := "LONG=" + strings.Repeat("x", 128<<10-6) // the longest that execve takes
	for content, want := range map[string][]string{
		"# a comment\n\n  A=1 # not one\nOURS\n": {"A=1 # not one", "OURS"},
		"\xef\xbb\xbfFIRST=1\r\nSECOND=2":        {"FIRST=1", "SECOND=2"},
		"":                                       nil,
		long + "\r\nSHORT=":                      {long, "SHORT="},
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
		lines, err := Read(file)
		require.NoError(t, err)
		require.Equal(t, want, lines)
	}
	for content, message := range map[string]string{
		"A B=1\n":                    `line 1: "A B=1" is not NAME=VALUE`,
		"A=1\n=2\n":                  `line 2: "=2" is not NAME=VALUE`,
		"\xff\xfeA\x00=\x001\x00":    "UTF-16",
		"\xfe\xff\x00A\x00=\x001":    "UTF-16",
		"A\x00=\x001\x00":            "not UTF-8 text",
		"A=1\nNAME=\xe9t\xe9 latin1": "line 2: ",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
		_, err := Read(file)
		require.ErrorContains(t, err, message)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSet(t *testing.T) {
	t.Setenv("OURS", "here")
	require.Equal(t, []string{"A=1", "C=", "B=2", "OURS=here"}, Set([]string{"A=1", "B=0"}, []string{"C=", "B=2", "OURS", "NOT_SET_ANYWHERE"}))
}
