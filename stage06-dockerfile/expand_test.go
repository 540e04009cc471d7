package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWordsAreSplitAfterTheExpansion(t *testing.T) {
	get := lookupIn(map[string]string{"PORTS": "80 443"})
	words, err := expandWords(`$PORTS "$PORTS" a\ b`, '\\', get)
	require.NoError(t, err)
	require.Equal(t, []string{"80", "443", "80 443", "a b"}, words)
}

// A variable that doubles itself must not take the memory of the host.
func TestExpansionHasAnEnd(t *testing.T) {
	env := map[string]string{"A": strings.Repeat("x", 1000)}
	var err error
	for range 40 {
		if env["A"], err = expandWord("$A$A", '\\', lookupIn(env)); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "longer than")
	_, err = expandWord(`"`+strings.Repeat("$B", 3000)+`"`, '\\', lookupIn(map[string]string{"B": strings.Repeat("x", 1000)}))
	require.ErrorContains(t, err, "longer than")
}

func TestGlobalsComeInOrder(t *testing.T) {
	f, err := parseDockerfile("Dockerfile", []byte("ARG A=1 B=${A}2\nARG C\nARG TARGETARCH\nARG D=$TARGETARCH\nFROM x\n"))
	require.NoError(t, err)
	args, err := f.globals(platformArgs("linux/amd64", "linux/arm64/v8", "x"), map[string]string{"A": "9"})
	require.NoError(t, err)
	for name, want := range map[string]string{"A": "9", "B": "92", "D": "arm64", "TARGETVARIANT": "v8", "TARGETPLATFORM": "linux/arm64/v8", "BUILDARCH": "amd64", "TARGETSTAGE": "x"} {
		require.Equal(t, want, args[name], name)
	}
	require.NotContains(t, args, "C")
}

// FuzzExpand holds what is true of every expansion: a text without quotes, escapes and
// variables is its own, and no input ends in a panic.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$A", "${A:-x}", "${A#*a}", "${V%%.*}", "${P//\\//:}", `'a'"$B"`, "${N:+'}'}", `a\ b`, "<< E", "${", "${A", "${A/", "$", "\\", `"\`, "${A%00*\\}0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, escape := range []rune{'\\', '`'} {
			got, err := expandWord(text, escape, lookupIn(testEnvironments[1]))
			if !strings.ContainsAny(text, "$\"'\\`") && utf8.ValidString(text) && len(text) < mostExpanded {
				require.NoError(t, err)
				require.Equal(t, text, got)
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
