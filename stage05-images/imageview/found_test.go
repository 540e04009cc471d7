package imageview

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/registry"
)

func TestWriteFound(t *testing.T) {
	var out strings.Builder
	require.NoError(t, WriteFound(&out, "", []registry.Found{{Name: "alpine", Description: "small", Stars: 9, Official: true}, {Name: "app"}}))
	require.Equal(t, "NAME     DESCRIPTION   STARS   OFFICIAL\nalpine   small         9       [OK]\napp                    0       \n", out.String())
	out.Reset()
	require.NoError(t, WriteFound(&out, "{{.Name}}", []registry.Found{{Name: "app"}}))
	require.Equal(t, "app\n", out.String())
}
