package render_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/render"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestObjects(t *testing.T) {
	objects := []map[string]any{{"Name": "a<b", "List": []string{"x", "y"}}}
	for format, want := range map[string]string{
		"":                   "[\n    {\n        \"List\": [\n            \"x\",\n            \"y\"\n        ],\n        \"Name\": \"a<b\"\n    }\n]\n",
		"{{upper .Name}}":    "A<B\n",
		`{{join .List "+"}}`: "x+y\n",
		"{{json .List}}":     "[\"x\",\"y\"]\n",
	} {
		var out strings.Builder
		err := render.Objects(&out, objects, format)
		require.NoError(t, err, format)
		require.Equal(t, want, out.String(), format)
	}
	for format, want := range map[string]string{"{{": "--format {{", "{{.Absent}}": "without --format"} {
		require.ErrorContains(t, render.Objects(&strings.Builder{}, objects, format), want)
	}
}

func TestStack(t *testing.T) {
	s := render.Stack{Name: "<web>", Layers: []render.Layer{{"top", "ü"}, {"lowest", "/a/longer/path"}}}
	require.Equal(t, `what <web> sees: all of these as one, an upper file before a lower one
┌─ top ──────────┐
│ ü              │
├─ lowest ───────┤
│ /a/longer/path │
└────────────────┘
`, s.Text())
	svg := s.SVG()
	require.NoError(t, xml.Unmarshal([]byte(svg), new(struct{})))
	require.Contains(t, svg, "&lt;web&gt;")
	require.Contains(t, svg, "/a/longer/path")
}
