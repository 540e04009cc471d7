#!/bin/sh
# github.com/moby/buildkit v0.34.2, frontend/dockerfile/shell: Lex.ProcessWords, which the
# Dockerfile frontend uses for EXPOSE, where a variable may hold several words, loses what
# precedes ${NAME:-word} and ${NAME:+word} in the same word. Lex.ProcessWord, which it uses for
# other instructions, keeps it.
#
# Seen: with A=0, the word 8${A:-0} is "80" to ProcessWord and ["0"] to ProcessWords, so
# "EXPOSE 8${A:-0}" exposes port 0 instead of 80. The plain 8${A} is right in both.
# Expected: both agree, as a POSIX shell does (2.6.2 Parameter Expansion).
#
# Exits with 0 while that is so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

func main() {
	lex, env := shell.NewLex('\\'), shell.EnvsFromSlice([]string{"A=0"})
	for _, word := range []string{"8${A}", "8${A:-0}", "8${B:-0}", "8${A:+1}", "${B:-0}8"} {
		one, _, err := lex.ProcessWord(word, env)
		several, errs := lex.ProcessWords(word, env)
		fmt.Println(word, one, several, err, errs)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/moby/buildkit/frontend/dockerfile/shell@v0.34.2 >/dev/null 2>&1
go run . > seen
cat seen
cat > expected <<'TEXT'
8${A} 80 [80] <nil> <nil>
8${A:-0} 80 [0] <nil> <nil>
8${B:-0} 80 [0] <nil> <nil>
8${A:+1} 81 [1] <nil> <nil>
${B:-0}8 08 [08] <nil> <nil>
TEXT
diff expected seen
