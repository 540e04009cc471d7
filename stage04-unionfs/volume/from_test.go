package volume

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage03-rootfs/mountspec"
)

func TestTake(t *testing.T) {
	types := mountspec.Types{"bind", "tmpfs", "volume"}
	other := Specs{Volume: []string{"data:/data", "/host:/host:rslave", "own:/own", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more", "type=tmpfs,dst=/tmp", "type=bind,src=/a:b,dst=/colon"}}
	for readOnly, want := range map[bool]Specs{
		false: {Volume: []string{"mine:/own", "data:/data", "/host:/host:rslave", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more", "type=bind,src=/a:b,dst=/colon"}},
		true:  {Volume: []string{"mine:/own", "data:/data:ro", "/host:/host:rslave,ro", "ro:/ro:ro"}, Mount: []string{"type=volume,src=more,dst=/more,readonly", "type=bind,src=/a:b,dst=/colon,readonly"}},
	} {
		s := Specs{Volume: []string{"mine:/own", "/data"}} // the second has no name
		s.Take(types, other, readOnly)
		require.Equal(t, want, s)
	}
}

func TestNameAll(t *testing.T) {
	types, n := mountspec.Types{"bind", "tmpfs", "volume"}, 0
	random := func() string { n++; return fmt.Sprint("random", n) }
	s := Specs{Volume: []string{"/own", "data:/data", "/host:/host"},
		Mount: []string{"type=volume,dst=/more", "type=volume,src=data,dst=/data", "type=tmpfs,dst=/tmp", "type=volume"}}
	require.Equal(t, []string{"random1", "random2"}, s.NameAll(types, random))
	require.Equal(t, []string{"random1:/own", "data:/data", "/host:/host"}, s.Volume)
	require.Equal(t, []string{"type=volume,dst=/more,src=random2", "type=volume,src=data,dst=/data", "type=tmpfs,dst=/tmp", "type=volume"}, s.Mount)
	require.Empty(t, s.NameAll(types, random), "all have names now")
}

func TestTakeFrom(t *testing.T) {
	types := mountspec.Types{"bind", "tmpfs", "volume"}
	find := func(name string) (Specs, error) {
		if name != "web" {
			return Specs{}, errors.New("no such container")
		}
		return Specs{Volume: []string{"data:/data"}}, nil
	}
	for text, want := range map[string]string{"web": "data:/data", "web:rw": "data:/data", "web:ro": "data:/data:ro"} {
		var s Specs
		require.NoError(t, s.TakeFrom(types, []string{text}, find))
		require.Equal(t, []string{want}, s.Volume)
	}
	var s Specs
	require.EqualError(t, s.TakeFrom(types, []string{"web:x"}, find), "--volumes-from web:x: give the container and nothing, ro or rw")
	require.EqualError(t, s.TakeFrom(types, []string{"db:ro"}, find), "--volumes-from db:ro: no such container")
}
