package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// askedIn is how each shell is asked what the lines of standard input may become.
var askedIn = map[string]string{
	"bash": `source <(box completion bash); while read -r LINE; do
COMP_LINE=$LINE COMP_POINT=${#LINE}; read -ra COMP_WORDS <<<"$LINE"; COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _box; echo "${COMPREPLY[@]}"; done`,
	"zsh": `compdef() { :; }; compadd() { shift; echo $@; }; _files() { echo; }
source <(box completion zsh); while read -r LINE; do words=(${(z)LINE}); CURRENT=$#words; _box; done`,
	"fish": `box completion fish | source; while read -l LINE; echo (complete -C $LINE | string replace -r '\t.*' ''); end`,
}

func TestShellsComplete(t *testing.T) {
	boxtest.Slow(t)
	store := Store{Root: t.TempDir()}
	require.NoError(t, os.MkdirAll(store.path("containers"), 0o755))
	require.NoError(t, os.MkdirAll(store.path("networks"), 0o755))
	require.NoError(t, os.Symlink(strings.Repeat("0", 64), store.path("containers", "brave_otter")))
	require.NoError(t, os.WriteFile(store.path("networks", "meadow.json"), nil, 0o644))
	for shell, script := range askedIn {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			cmd := exec.Command(shell, "-c", script)
			cmd.Env = append(os.Environ(), "BOX_ROOT="+store.Root, "PATH="+filepath.Dir(box)+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			var lines, wants []string
			for _, c := range [][2]string{
				{"box netw", "network"},
				{"box network ins", "inspect"},
				{"box network inspect me", "meadow"},
				{"box network inspect --pic", "--picture"},
				{"box stop bra", "brave_otter"},
				{"box exec -it br", "brave_otter"},
				{"box run --network mea", "meadow"},
				{"box run --network no", "none"},
				{"box run --rm --network-al", "--network-alias"},
				{"box build --network ho", "host"},
				{"box completion z", "zsh"},
				{"box run --name x --network meadow --publish-", "--publish-all"},
			} {
				lines, wants = append(lines, c[0]), append(wants, c[1])
			}
			cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			require.Equal(t, wants, strings.Split(strings.TrimSpace(string(out)), "\n"))
		})
	}
}

func TestProgramsWordsAreNotOurs(t *testing.T) {
	stdout, _, _ := run(t, "completion", "words", "--", "run", "tiny", "ls", "--")
	require.Empty(t, stdout)
	stdout, _, _ = run(t, "completion", "words", "--", "run", "--rm", "--netw")
	require.Equal(t, "--network\n--network-alias\n", stdout)
}
