package attr

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// encoded is an attribute, filled up.
func encoded(kind uint16, value string) []byte {
	data := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	data = append(binary.NativeEndian.AppendUint16(data, kind), value...)
	return append(data, make([]byte, -len(data)&3)...)
}

func TestAttributes(t *testing.T) {
	data := slices.Concat([]byte("skip"), encoded(1|unix.NLA_F_NESTED, "abc\x00d"), encoded(2, "\x00\x00\x01\x00"), encoded(1, "last"))
	attrs := Map(data, 4)
	require.Len(t, attrs, 2)
	require.Equal(t, "last", string(attrs[1]))
	require.Equal(t, 256, Number(binary.BigEndian, attrs[2]))
	require.Zero(t, Number(binary.BigEndian, attrs[9]))
	for _, value := range List(data, 4) {
		require.Equal(t, "abc", Text(value), "the first")
		break
	}
	require.Empty(t, Map(data, 100))
	for size := range data { // a message that was cut ends early
		Map(data[:size], 4)
	}
	require.Empty(t, Map([]byte{3, 0, 0, 0}, 0), "shorter than itself")
	require.Empty(t, Map([]byte{255, 255, 0, 0}, 0), "longer than the message")
}
