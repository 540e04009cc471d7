package ipam

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage08-network/rtnl"
)

func TestVeth(t *testing.T) {
	const id = "0123456789abcdef"
	name := NewVeth(id)
	require.Less(t, len(name), unix.IFNAMSIZ)
	require.NotEqual(t, name, NewVeth(id))
	links := []rtnl.Link{{Name: "eth0", Master: 7}, {Name: NewVeth("other"), Master: 7}, {Name: NewVeth(id), Master: 8}, {Name: name, Master: 7}}
	found, ok := VethOf(id, 7, links)
	require.True(t, ok)
	require.Equal(t, name, found)
	_, ok = VethOf(id, 7, links[:3])
	require.False(t, ok, "of another container, or in another bridge")
}
