package format

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type inner struct{ ID, Names string }

func (inner) Label(name string) string { return name }

type outer struct {
	inner

	Ports string
	Size  int
}

// TestPlain puts templates together at random: what is written without text/template is what it would
// write.
func TestPlain(t *testing.T) {
	table := Table{Header: Header{"ID": "CONTAINER ID", "Names": "NAMES", "Ports": "PORTS", "Size": "SIZE", "Absent": "ABSENT"}}
	rows := []any{outer{inner: inner{"1", "o{{.ID}}ne"}}, outer{inner: inner{"22", ""}, Ports: "80\t<&>"}}
	pieces := []string{"{{.ID}}", "{{.Names}}", "{{.Ports}}", "\t", "\n", "{", "}", "}}", "ä b", "{{.Size}}", "{{.Absent}}", "{{- .ID}}",
		"{{.ID -}}", "{{.ID", "{{", "{{.inner.ID}}", "{{ .ID }}", "{{.Label \"x\"}}", "{{.}}", "{{/* .ID */}}", "{{."}
	plain := 0
	for range 20000 {
		var text strings.Builder
		for range 1 + rand.N(6) {
			text.WriteString(pieces[rand.N(1+rand.N(len(pieces)))]) // the first ones more often
		}
		isTable := rand.N(2) == 0
		lines, ok := plainLines(text.String(), table.Header, rows, isTable)
		if !ok {
			continue
		}
		want, err := table.execute(text.String(), rows, isTable)
		require.NoError(t, err, text.String())
		require.Equal(t, string(want), string(lines), text.String())
		plain++
	}
	require.Greater(t, plain, 1000)
}

// TestPlainTakes: which rows and templates are written without text/template.
func TestPlainTakes(t *testing.T) {
	header := Header{"ID": "", "Names": "", "Ports": "", "Size": "", "Absent": ""}
	rows := []any{outer{}, outer{}}
	for text, want := range map[string]bool{
		"{{.ID}}": true, "a{{.ID}}\t{{.Names}}b{{.Ports}}": true, "": true, "}}": true,
		"{{.Size}}": false, "{{.Absent}}": false, "{{.CreatedAt}}": false, "{{{.ID}}": false, "{{ .ID}}": false, "{{.ID}}{{": false, "{{.Label \"x\"}}": false,
	} {
		_, ok := plainLines(text, header, rows, true)
		require.Equal(t, want, ok, text)
	}
	for _, rows := range [][]any{nil, {1}, {outer{}, inner{}}, {&outer{}}} {
		_, ok := plainLines("{{.ID}}", header, rows, true)
		require.False(t, ok, rows)
	}
}
