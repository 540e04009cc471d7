package dockerfile

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWordsAreSplitAfterTheExpansion(t *testing.T) {
	get := LookupIn(map[string]string{"PORTS": "80 443"})
	words, err := expandWords(`$PORTS "$PORTS" a\ b`, '\\', get)
	require.NoError(t, err)
	require.Equal(t, []string{"80", "443", "80 443", "a b"}, words)
}

// A variable that doubles itself must not take the memory of the host.
func TestExpansionHasAnEnd(t *testing.T) {
	env := map[string]string{"A": strings.Repeat("x", 1000)}
	var err error
	for range 40 {
		if env["A"], err = Expand("$A$A", '\\', LookupIn(env)); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "longer than")
	_, err = Expand(`"`+strings.Repeat("$B", 3000)+`"`, '\\', LookupIn(map[string]string{"B": strings.Repeat("x", 1000)}))
	require.ErrorContains(t, err, "longer than")
}

func TestGlobalsComeInOrder(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("ARG A=1 B=${A}2\nARG C\nARG TARGETARCH\nARG D=$TARGETARCH\nFROM x\n"))
	require.NoError(t, err)
	args, err := f.Globals(PlatformArgs("linux/amd64", "linux/arm64/v8", "x"), map[string]string{"A": "9"})
	require.NoError(t, err)
	for name, want := range map[string]string{"A": "9", "B": "92", "D": "arm64", "TARGETVARIANT": "v8", "TARGETPLATFORM": "linux/arm64/v8", "BUILDARCH": "amd64", "TARGETSTAGE": "x"} {
		require.Equal(t, want, args[name], name)
	}
	require.NotContains(t, args, "C")
}

// A lexer of words must not forget what precedes a variable with a default.
func TestWordsAreSplitOnlyAtBlanks(t *testing.T) {
	words, err := expandWords("8${N:-0}", '\\', noVariables)
	require.NoError(t, err)
	require.Equal(t, []string{"80"}, words)
}

func TestExpansionErrorsAreSentences(t *testing.T) {
	for text, want := range map[string]string{
		`"a`: `the closing " is missing`, `'a`: "the closing ' is missing",
		"${": "the closing } is missing", "${A": "the closing } is missing",
		"${A:-x": "the closing } is missing", "${A/x": "the closing / is missing",
		"${}": "a name must follow ${, not one of {, : and }", "${A:?a b}": "A: a b",
		"${A?}":    "A must be set, and not be empty after :?",
		"${A!x}":   "unsupported modifier (!) in substitution",
		"${A#\\x}": "invalid pattern (\\x) in substitution: invalid escape '\\x'",
	} {
		_, err := Expand(text, '\\', noVariables)
		require.EqualError(t, err, want, text)
	}
}

// FuzzExpand holds what is true of every expansion: a text without quotes, escapes and
// variables is its own, and no input ends in a panic.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$A", "${A:-x}", "${A#*a}", "${V%%.*}", "${P//\\//:}", `'a'"$B"`, "${N:+'}'}", `a\ b`, "<< E", "${", "${A", "${A/", "$", "\\", `"\`, "${A%00*\\}0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, escape := range []rune{'\\', '`'} {
			got, err := Expand(text, escape, LookupIn(testEnvironments[1]))
			if !strings.ContainsAny(text, "$\"'\\`") && utf8.ValidString(text) && len(text) < mostExpanded {
				require.NoError(t, err)
				require.Equal(t, strings.TrimPrefix(text, "\uFEFF"), got) // a byte order mark, as in BuildKit
			}
			words, err := expandWords(text, escape, noVariables)
			for _, word := range words {
				require.True(t, err == nil && word != "")
			}
		}
		if doc, err := parseHeredoc(text); err == nil && doc != nil {
			require.NotEmpty(t, doc.Name)
		}
	})
}

func TestUndeclared(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("ARG A=1\nFROM base$A\nARG B\nFROM other\n"))
	require.NoError(t, err)
	args := map[string]string{"A": "", "B": "", "Z": "", "Y": "", "HTTP_PROXY": "", "TARGETOS": ""}
	var asked []string
	steps := 0
	onBuild := func(image string) int { asked = append(asked, image); return steps }
	names := func() []string {
		return f.Undeclared(args, map[string]string{"TARGETOS": "linux"}, map[string]string{"A": "1"}, onBuild)
	}
	require.Equal(t, []string{"Y", "Z"}, names())
	require.Equal(t, []string{"base1", "other"}, asked)
	steps = 1
	require.Empty(t, names(), "an ONBUILD ARG may take them")
}
