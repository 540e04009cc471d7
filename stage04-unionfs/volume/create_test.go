package volume

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/ids"
)

func TestResolve(t *testing.T) {
	name, labels, err := CreateOptions{Name: "data", Driver: "local", Label: []string{"a=b", "c"}}.Resolve()
	require.NoError(t, err)
	require.Equal(t, "data", name)
	require.Equal(t, map[string]string{"a": "b", "c": ""}, labels)
	name, _, err = CreateOptions{Driver: "local"}.Resolve()
	require.NoError(t, err)
	require.True(t, ids.IsID(name))
	for text, flags := range map[string]CreateOptions{
		"--driver nfs: local is the only one":            {Driver: "nfs"},
		`--label "": give KEY or KEY=VALUE`:              {Driver: "local", Label: []string{""}},
		`volume create "../x": a name is made of letter`: {Driver: "local", Name: "../x"},
	} {
		_, _, err := flags.Resolve()
		require.ErrorContains(t, err, text)
	}
}
