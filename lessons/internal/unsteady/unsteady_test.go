package unsteady

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events are of three tests: Test/sub fails and then passes, TestBroken fails twice, TestFine
// passes.
const events = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"Test"}
{"Action":"output","Package":"p","Test":"Test/sub","Output":"expected 1, saw 2\n"}
{"Action":"fail","Package":"p","Test":"Test/sub","Elapsed":0.1}
{"Action":"fail","Package":"p","Test":"Test"}
{"Action":"fail","Package":"p","Test":"TestBroken"}
{"Action":"pass","Package":"p","Test":"TestFine"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"p","Test":"Test/sub","Output":"--- PASS: Test/sub\n"}
{"Action":"pass","Package":"p","Test":"Test/sub"}
{"Action":"pass","Package":"p","Test":"Test"}
{"Action":"fail","Package":"p","Test":"TestBroken"}
`

func TestFind(t *testing.T) {
	found, err := Find(strings.NewReader(events))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, `p Test/sub
  run 1 failed:
    expected 1, saw 2
  run 2 passed:
    --- PASS: Test/sub
`, found[0].String())
}

// A package that fails by itself has failed, also when it passes without its tests.
func TestPackages(t *testing.T) {
	found, err := Packages(strings.NewReader(events))
	require.NoError(t, err)
	require.Empty(t, found, "a test of it has failed")
	found, err = Packages(strings.NewReader(`{"Action":"start","Package":"q"}
{"Action":"pass","Package":"q","Test":"Test"}
{"Action":"fail","Package":"q"}
{"Action":"start","Package":"q"}
{"Action":"pass","Package":"q"}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"q"}, found)
}

func TestFindInNothing(t *testing.T) {
	found, err := Find(strings.NewReader(""))
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = Find(strings.NewReader("FAIL p [build failed]\n"))
	require.ErrorContains(t, err, "events of go test")
}
