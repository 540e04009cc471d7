package attr

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// message is one that the kernel sends, filled up.
func message(kind, flags uint16, seq uint32, body []byte) []byte {
	native := binary.NativeEndian
	data := native.AppendUint32(nil, uint32(headerSize+len(body)))
	data = native.AppendUint16(native.AppendUint16(data, kind), flags)
	data = append(native.AppendUint32(native.AppendUint32(data, seq), 0), body...)
	return append(data, make([]byte, -len(data)&3)...)
}

func TestReplies(t *testing.T) {
	data := append(message(16, 0, 1, []byte("abc")), message(24, unix.NLM_F_MULTI, 2, nil)...)
	list := slices.Collect(Replies(data))
	require.Equal(t, []Reply{{16, 0, 1, []byte("abc")}, {24, unix.NLM_F_MULTI, 2, []byte{}}}, list)
	for m := range Replies(data) {
		require.EqualValues(t, 16, m.Kind, "the first")
		break
	}
	require.Len(t, slices.Collect(Replies(data[:len(data)-1])), 1, "the second was cut")
	for _, size := range []uint32{0, headerSize - 1, 1 << 31} {
		require.Empty(t, slices.Collect(Replies(binary.NativeEndian.AppendUint32(nil, size))))
		wrong := slices.Clone(data)
		binary.NativeEndian.PutUint32(wrong, size)
		require.Empty(t, slices.Collect(Replies(wrong)), size)
	}
}

// failure is what the kernel says of a request whose body has eight bytes, which it sends back unless
// the reply is capped.
func failure(errno unix.Errno, flags uint16, sentence string) []byte {
	request := message(16, 0, 7, make([]byte, 8))
	if flags&unix.NLM_F_CAPPED != 0 {
		request = request[:headerSize]
	}
	body := append(binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))), request...)
	if sentence != "" {
		body = append(body, encoded(unix.NLMSGERR_ATTR_MSG, sentence+"\x00")...)
	}
	return message(unix.NLMSG_ERROR, flags, 7, body)
}

func TestAcknowledgements(t *testing.T) {
	at, err := ReadAck(failure(0, unix.NLM_F_CAPPED, ""))
	require.NoError(t, err)
	require.Equal(t, 7, at)
	other := message(16, 0, 6, nil)
	for _, flags := range []uint16{unix.NLM_F_ACK_TLVS, unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED} {
		at, err = ReadAck(append(other, failure(unix.EINVAL, flags, "Nexthop has invalid gateway")...))
		require.Equal(t, 7, at)
		require.ErrorIs(t, err, unix.EINVAL)
		require.EqualError(t, err, unix.EINVAL.Error()+" (Nexthop has invalid gateway)")
	}
	_, err = ReadAck(failure(unix.EPERM, 0, ""))
	require.Equal(t, unix.EPERM, err)
	_, err = ReadAck(other)
	require.EqualError(t, err, "malformed netlink reply (16 bytes)")
	_, err = ReadAck(message(unix.NLMSG_ERROR, 0, 1, []byte{1}))
	require.EqualError(t, err, "an answer without an error number")
	for size := range failure(unix.EPERM, unix.NLM_F_ACK_TLVS, "x") { // cut anywhere
		ReadAck(failure(unix.EPERM, unix.NLM_F_ACK_TLVS, "x")[:size])
	}
}
