package volume

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage03-rootfs/mountspec"
)

func TestTake(t *testing.T) {
	types := mountspec.Types{"bind", "tmpfs", "volume"}
	other := Specs{Volume: []string{"data:/data", "/host:/host:rslave", "own:/own", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more", "type=tmpfs,dst=/tmp"}}
	for readOnly, want := range map[bool]Specs{
		false: {Volume: []string{"mine:/own", "data:/data", "/host:/host:rslave", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more"}},
		true:  {Volume: []string{"mine:/own", "data:/data:ro", "/host:/host:rslave,ro", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more,readonly"}},
	} {
		s := Specs{Volume: []string{"mine:/own", "/data"}} // the second has no name
		s.Take(types, other, readOnly)
		require.Equal(t, want, s)
	}
}
