package dockerfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModesAreThoseOfChmod(t *testing.T) {
	for _, c := range []struct {
		text         string
		before, then uint32
	}{
		{"755", 0o100600, 0o100755},
		{"u=rwX,go=rX", 0o100600, 0o100644},
		{"u=rwX,go=rX", 0o040700, 0o040755},
		{"+x", 0o100644, 0o100755},
		{"g-w,o=u", 0o100760, 0o100747},
		{"a=,u+s", 0o100777, 0o104000},
	} {
		change, err := ParseModes(c.text)
		require.NoError(t, err)
		require.Equal(t, c.then, change(c.before), c.text)
	}
	_, err := ParseModes("rwx")
	require.EqualError(t, err, "rwx: give a mode such as 755, or u=rwX,go=rX")
}

func TestPorts(t *testing.T) {
	ports, err := ParsePorts("8080:80-81/UDP")
	require.NoError(t, err)
	require.Equal(t, []string{"80/udp", "81/udp"}, ports)
	for _, text := range []string{"", "x", "2-1", "65536", "80/icmp"} {
		_, err := ParsePorts(text)
		require.ErrorContains(t, err, "give a port from 1 to 65535", text)
	}
}
