package format_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/format"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

type object struct {
	ID     string `json:"Id"`
	Names  []string
	Labels map[string]string
	Size   int64
}

func TestObjects(t *testing.T) {
	objects := []object{{"a<b", []string{"x", "y"}, map[string]string{"com.x": "1"}, 1 << 53}}
	for text, want := range map[string]string{
		"":                                      "[\n    {\n        \"Id\": \"a<b\",\n        \"Names\": [\n            \"x\",\n            \"y\"\n        ],\n        \"Labels\": {\n            \"com.x\": \"1\"\n        },\n        \"Size\": 9007199254740992\n    }\n]\n",
		"json":                                  `[{"Id":"a<b","Names":["x","y"],"Labels":{"com.x":"1"},"Size":9007199254740992}]` + "\n",
		"{{upper .ID}} {{.Size}}":               "A<B 9007199254740992\n",
		`{{join .Names "+"}} {{json .Names}}`:   "x+y [\"x\",\"y\"]\n",
		`{{.Id}} {{.Size}} {{join .Names "+"}}`: "a<b 9007199254740992 x+y\n", // from the JSON, a list of anything
		`{{index .Labels "com.x"}}`:             "1\n",
		`{{json .ID}} {{index (split .ID "<") 1}} {{truncate .ID 1}}{{pad .ID 1 2}}|{{title .ID}}`: "\"a<b\" b a a<b  |A<B\n",
	} {
		var out strings.Builder
		require.NoError(t, format.Objects(&out, objects, text), text)
		require.Equal(t, want, out.String(), text)
	}
	for text, want := range map[string]string{
		"{{":          "--format {{: 1: unclosed action",
		"{{.Absent}}": `--format {{.Absent}}: 1:2: <.Absent>: map has no entry for key "Absent"`,
	} {
		require.EqualError(t, format.Objects(&strings.Builder{}, objects, text), want)
	}
}

type row struct{ ID, Names string }

// Label is what .Label "x" gives.
func (row) Label(name string) string { return "value of " + name }

// writes counts the calls of Write.
type writes struct {
	strings.Builder
	count int
}

func (w *writes) Write(data []byte) (int, error) {
	w.count++
	return w.Builder.Write(data)
}

func TestTable(t *testing.T) {
	table := format.Table{Header: format.Header{"ID": "CONTAINER ID", "Names": "NAMES"}, Row: "{{.ID}}\t{{.Names}}"}
	rows := []any{row{"1", "one"}, row{"22", "two"}}
	for text, want := range map[string]string{
		"":                                "CONTAINER ID   NAMES\n1              one\n22             two\n",
		"table":                           "CONTAINER ID   NAMES\n1              one\n22             two\n",
		"json":                            `{"ID":"1","Names":"one"}` + "\n" + `{"ID":"22","Names":"two"}` + "\n",
		"{{.Names}}":                      "one\ntwo\n",
		`{{.ID}}\t{{upper .Names}}`:       "1\tONE\n22\tTWO\n",
		`table {{upper .Names}}\t{{.ID}}`: "NAMES   CONTAINER ID\nONE     1\nTWO     22\n",
		`table {{.Label "com.my-x"}}`:     "my x\nvalue of com.my-x\nvalue of com.my-x\n",
		`table {{json .ID}} {{truncate .Names 2}}{{join (split .ID "2") "3"}}`: "CONTAINER ID NAMESCONTAINER ID\n\"1\" on1\n\"22\" tw33\n",
	} {
		var out writes
		require.NoError(t, table.Write(&out, text, rows), text)
		require.Equal(t, want, out.String(), text)
		require.Equal(t, 1, out.count, text)
	}
	var out strings.Builder
	require.NoError(t, table.Write(&out, "", nil))
	require.Equal(t, "CONTAINER ID   NAMES\n", out.String())
	for text, want := range map[string]string{
		"{{.Nope}}":       "--format {{.Nope}}: 1:2: <.Nope>: can't evaluate field Nope in type format_test.row",
		"table {{.Nope}}": "--format table {{.Nope}}: 1:2: <.Nope>: can't evaluate field Nope in type format_test.row",
		"{{nope}}":        `--format {{nope}}: 1: function "nope" not defined`,
	} {
		require.EqualError(t, table.Write(&strings.Builder{}, text, rows), want)
	}
}

func TestProcesses(t *testing.T) {
	const list = "  PID TTY  CMD\n    1 ?  init\n   77 ?   sh -c 'a  b'\n  770 ? other\n"
	var out strings.Builder
	require.NoError(t, format.Processes(&out, list, []int{77, 5}))
	require.Equal(t, "PID                 TTY                 CMD\n77                  ?                   sh -c 'a b'\n", out.String())
	require.ErrorContains(t, format.Processes(&out, "CMD\nsh\n", []int{77}), "PID")
}

// Named prints what is found, also if something else is not.
func TestNamed(t *testing.T) {
	find := func(name string) (any, error) {
		if name == "none" {
			return nil, errors.New("no such object: none")
		}
		return map[string]string{"Name": name}, nil
	}
	var out strings.Builder
	require.EqualError(t, format.Named(&out, []string{"none"}, "{{.Name}}", find), "no such object: none")
	require.Equal(t, "", out.String())
	require.Equal(t, plan.ExitStatus(1), format.Named(&out, []string{"a", "none", "b"}, "{{.Name}}", find))
	require.Equal(t, "a\nb\n", out.String())
}
