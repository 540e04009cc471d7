package host

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAttributesComeBack(t *testing.T) {
	b := join(text(1, "box"), attr(2|unix.NLA_F_NESTED, number(7, 9)), text(3, ""))
	require.Zero(t, len(b)%4)
	found := attrs(b)
	require.Equal(t, []byte("box\x00"), found[1])
	require.Equal(t, []byte{0, 0, 0, 9}, attrs(found[2])[7])
	require.Equal(t, []byte{0}, found[3])
}

// chain is what the kernel says of a chain in a dump.
func chain(protocol byte, hook, policy uint32) []byte {
	return join(family(protocol, 0), text(unix.NFTA_CHAIN_TABLE, "filter"), text(unix.NFTA_CHAIN_NAME, "FORWARD"),
		attr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, number(unix.NFTA_HOOK_HOOKNUM, hook)), number(unix.NFTA_CHAIN_POLICY, policy))
}

func TestDropping(t *testing.T) {
	require.Equal(t, "ip filter FORWARD", dropping(chain(unix.NFPROTO_IPV4, unix.NF_INET_FORWARD, drop)))
	require.Equal(t, "inet filter FORWARD", dropping(chain(unix.NFPROTO_INET, unix.NF_INET_FORWARD, drop)))
	require.Empty(t, dropping(chain(unix.NFPROTO_IPV4, unix.NF_INET_FORWARD, 1)), "accepts")
	require.Empty(t, dropping(chain(unix.NFPROTO_IPV4, unix.NF_INET_LOCAL_IN, drop)), "what comes in is not forwarded")
	require.Empty(t, dropping(chain(unix.NFPROTO_BRIDGE, unix.NF_INET_FORWARD, drop)), "frames between ports of a bridge are another matter")
	require.Empty(t, dropping(family(unix.NFPROTO_IPV4, 0)), "a chain without a hook")
}

func TestAnswers(t *testing.T) {
	done, err := answers(message(unix.NLMSG_ERROR, 0, make([]byte, 4)), nil)
	require.True(t, done)
	require.NoError(t, err)
	refused := native.AppendUint32(nil, uint32(0xffffffff)) // -EPERM
	_, err = answers(message(unix.NLMSG_ERROR, 0, refused), nil)
	require.True(t, errors.Is(err, unix.EPERM))
	var seen int
	done, err = answers(join(message(99, 0, []byte("1234")), message(99, 0)), func([]byte) { seen++ })
	require.False(t, done)
	require.NoError(t, err)
	require.Equal(t, 2, seen)
	_, err = answers(message(99, 0, []byte("1234"))[:18], nil)
	require.ErrorIs(t, err, unix.EBADMSG, "cut off")
}

func FuzzAnswers(f *testing.F) {
	f.Add(message(unix.NFT_MSG_NEWCHAIN, 0, chain(unix.NFPROTO_IPV4, unix.NF_INET_FORWARD, drop)))
	f.Add(message(unix.NLMSG_ERROR, 0, []byte{1}))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		// It must end, and keep within the datagram.
		done, err := answers(datagram, func(b []byte) { dropping(b) })
		require.True(t, err == nil || done)
	})
}
