package ipam

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWish(t *testing.T) {
	for _, text := range []string{"red", "name=red,alias=db,alias=store,ip=10.0.0.9", "name=red,mac-address=02:42:0a:00:00:09", "container:web"} {
		w, err := parseWish(text)
		require.NoError(t, err)
		require.Equal(t, text, w.String())
	}
	w, err := parseWish("name=red,alias=db,ip=10.0.0.9")
	require.NoError(t, err)
	require.Equal(t, []string{"red", "db", "10.0.0.9"}, []string{w.Network, w.Aliases[0], w.IP.String()})
	for text, says := range map[string]string{
		"alias=x": "name is missing", "name=red,ip=::1": "is not an IPv4 address", "name=red,ip=x": "is not an IPv4 address",
		"name=red,mac=1": `invalid key "mac"`, "name=red,alias=a b": `"a b": a name has letters`,
		"name=red,mac-address=1": "is not the address of a link", "name=red,mac-address=01:00:5e:00:00:01": "is not the address of a link",
		"name=red,mac-address=00:00:00:00:00:00": "is not", "name=red,mac-address=02:42:0a:00:00:09,mac-address=02:42:0a:00:00:08": "has 02:42:0a:00:00:09 already",
	} {
		_, err := parseWish(text)
		require.ErrorContains(t, err, says, text)
	}
}

// TestWishNames: a host name that was asked for is a name on the network, and the default is not.
func TestWishNames(t *testing.T) {
	w, id := Wish{Aliases: []string{"db"}}, "0123456789abcdef"
	require.Equal(t, []string{"web", "db", "host1"}, w.Names(id, "web", "host1"))
	for _, none := range []string{"", "box", "web", "db", id[:12], "a b"} {
		require.Equal(t, []string{"web", "db"}, w.Names(id, "web", none), none)
	}
	require.Equal(t, []string{"db"}, w.Names(id, "", "host1"))
}
