package picture

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

var drawn = &Network{Host: []string{"host", "way → out"}, Containers: []Container{
	{Link: "veth1", Lines: []string{"a<b", "eth0 10.0.0.2"}}, {Link: "veth2", Lines: []string{"c"}}}}

func TestText(t *testing.T) {
	require.Equal(t, `
┌───────────┐
│ host      │
│ way → out │
└───────────┘
  │
  ├── veth1
  │   ┌───────────────┐
  │   │ a<b           │
  │   │ eth0 10.0.0.2 │
  │   └───────────────┘
  │
  ├── veth2
  │   ┌───┐
  │   │ c │
  │   └───┘
`, "\n"+drawn.Text())
}

func TestSVG(t *testing.T) {
	for _, n := range []*Network{drawn, {Host: []string{"alone"}}} {
		svg := n.SVG()
		require.NoError(t, xml.Unmarshal([]byte(svg), new(struct{})))
		require.Equal(t, 1+len(n.Containers), strings.Count(svg, "<rect "))
		require.Equal(t, len(n.Containers), strings.Count(svg, "<line "))
	}
	require.Contains(t, drawn.SVG(), ">a&lt;b</text>")
}
