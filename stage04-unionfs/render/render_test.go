package render_test

import (
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/render"
	"stagebox/stage04-unionfs/union"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

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

func TestContainer(t *testing.T) {
	changes := []union.Change{{Kind: 'A', Path: "/a"}, {Kind: 'A', Path: "/b"}, {Kind: 'D', Path: "/c"}}
	s := render.Container("web", "0123456789abcdef", changes, []string{"/top", "/lowest"})
	require.Equal(t, render.Stack{Name: "web", Layers: []render.Layer{
		{"web, to write to", "containers/0123456789ab…/upper: 2 added, 0 changed, 1 deleted"},
		{"layer 2, to read only", "/top"}, {"layer 1, to read only", "/lowest"},
		{"mount points that every container has", "mountpoints"}}}, s)
}
