package render_test

import (
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/render"
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
