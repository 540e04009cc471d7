package buildpicture

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var stages = []Stage{
	{"build", []Step{{"FROM a", "", true}, {"RUN a < b", "instruction changed", false}}},
	{"the image", []Step{{"COPY --from=build a /", "", false}}},
}

func TestText(t *testing.T) {
	require.Equal(t, `build
├─ □ cached  FROM a
└─ ■ run     RUN a < b  instruction changed
the image
└─ ■ run     COPY --from=build a /
`, Text(stages))
}

func TestSVGIsXML(t *testing.T) {
	svg := SVG(stages)
	require.Equal(t, 3, strings.Count(svg, "<rect "))
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
	}
}
