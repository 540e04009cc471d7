package nft

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// parse reads attributes, which have to fill the data, by type without flags.
func parse(t *testing.T, data []byte) map[uint16][]byte {
	t.Helper()
	attrs := map[uint16][]byte{}
	for len(data) > 0 {
		require.GreaterOrEqual(t, len(data), 4)
		size := int(binary.NativeEndian.Uint16(data))
		require.GreaterOrEqual(t, size, 4)
		require.LessOrEqual(t, (size+3)&^3, len(data))
		attrs[binary.NativeEndian.Uint16(data[2:])&^unix.NLA_F_NESTED] = data[4:size]
		data = data[(size+3)&^3:]
	}
	return attrs
}

func TestMessages(t *testing.T) {
	const table = Table("t")
	set := Set{Name: "s", Key: []Type{IPv6, Protocol, Port}, Data: []Type{IPv4, Port}}
	hook := Chain{Name: "c", Type: "filter", Hook: unix.NF_INET_FORWARD, Priority: -5}
	element := Element{Set: "s", Key: []byte{1}, Data: []byte{2}, Text: "1 : 2", Comment: "who"}
	for text, m := range map[string]Message{
		"table inet t { comment \"v 2\"; }": table.Create("v 2"),
		"flush table inet t":                table.Flush(),
		"set n":                             table.AddSet(1, Set{Name: "n", Key: []Type{InterfaceName}}),
		"map s":                             table.AddSet(2, set),
		"chain d":                           table.AddChain(Chain{Name: "d"}),
		"chain c { type filter hook forward priority -5; }": table.AddChain(hook),
		"c drop":       table.AddRule("c", "drop", Drop()),
		"s { 1 : 2 }":  table.AddElements([]Element{element})[0],
		"s { gone : }": table.DeleteElements([]Element{{Set: "s", Text: "gone :"}})[0],
		"":             table.Get(),
	} {
		require.Equal(t, text, m.Text)
		require.Equal(t, byte(unix.NFPROTO_INET), m.Data[0])
		require.Equal(t, uint16(unix.NFNL_SUBSYS_NFTABLES), m.Kind>>8)
		require.NotEmpty(t, parse(t, m.Data[4:]), text)
	}
	attrs := parse(t, table.AddSet(2, set).Data[4:])
	require.Equal(t, []byte{0, 0, 0x83, 0x0d}, attrs[unix.NFTA_SET_KEY_TYPE]) // 8, 12 and 13
	require.Equal(t, []byte{0, 0, 0, 24}, attrs[unix.NFTA_SET_KEY_LEN])
	require.Equal(t, []byte{0, 0, 0, 8}, attrs[unix.NFTA_SET_DATA_LEN])

	require.Equal(t, []byte{0, 0, 0, 16}, parse(t, table.AddSet(1, Set{Name: "n", Key: []Type{InterfaceName}}).Data[4:])[unix.NFTA_SET_KEY_LEN])
	require.Equal(t, "v 2", Comment(parse(t, table.Create("v 2").Data[4:])[tableUserdata]))

	list := Transaction(table.Create(""), table.Delete())
	require.Len(t, list, 4)
	require.Len(t, list[0].Data, 4)
	require.Equal(t, []byte{0, 0, 1, 0}, parse(t, Unless(256, list)[0].Data[4:])[unix.NFNL_BATCH_GENID])
	require.Equal(t, uint16(unix.NFT_MSG_GETGEN), Generation().Kind&0xff)
	require.Equal(t, "NFNL_MSG_BATCH_BEGIN", list[0].Name)
	require.Equal(t, "NFNL_MSG_BATCH_END", list[3].Name)
}

func TestCode(t *testing.T) {
	code := Join(Meta(unix.NFT_META_OIFNAME, 2), Network(16, 4, 1), Transport(2, 2, 9), Equal(1, 2), NotEqual(3),
		In("a"), NotIn("bcd"), DNAT("m", unix.NFPROTO_IPV6), Masquerade(), Conntrack(unix.NFT_CT_STATUS, 1), ToHost(),
		Jump("chain"), Accept(), Drop())
	var names []string
	for len(code) > 0 {
		size := int(binary.NativeEndian.Uint16(code)+3) &^ 3
		e := parse(t, parse(t, code[:size])[unix.NFTA_LIST_ELEM])
		names = append(names, string(e[unix.NFTA_EXPR_NAME]))
		parse(t, e[unix.NFTA_EXPR_DATA])
		code = code[size:]
	}
	require.Equal(t, []string{"meta\x00", "payload\x00", "payload\x00", "cmp\x00", "cmp\x00", "lookup\x00", "lookup\x00",
		"lookup\x00", "nat\x00", "masq\x00", "ct\x00", "bitwise\x00", "cmp\x00", "fib\x00", "cmp\x00",
		"immediate\x00", "immediate\x00", "immediate\x00"}, names)
}

func TestSubnetsEnd(t *testing.T) {
	for subnet, end := range map[string]string{
		"10.201.0.0/16": "10.202.0.0", "10.1.255.0/24": "10.2.0.0", "10.255.255.248/29": "11.0.0.0",
		"10.0.0.4/30": "10.0.0.8", "fd00:0:0:ffff::/64": "fd00:0:1::", "10.0.0.9/8": "11.0.0.0",
	} {
		list := Subnet("s", netip.MustParsePrefix(subnet))
		require.Len(t, list, 2)
		require.Equal(t, netip.MustParsePrefix(subnet).Masked().Addr().AsSlice(), list[0].Key)
		require.Equal(t, netip.MustParseAddr(end).AsSlice(), list[1].Key, subnet)
		require.True(t, list[1].End)
		require.Equal(t, "… "+end, list[1].Text)
	}
}

func TestPartsAreFilledUp(t *testing.T) {
	require.Equal(t, []byte{6, 0, 0, 0, 31, 144, 0, 0, 1, 2, 3, 4}, Concat([]byte{6}, []byte{31, 144}, []byte{1, 2, 3, 4}))
	require.Empty(t, Concat())
}

func TestComments(t *testing.T) {
	require.Equal(t, "who", Comment([]byte{0, 4, 'w', 'h', 'o', 0}))
	for _, other := range [][]byte{nil, {0}, {1, 2, 'x', 0}} {
		require.Empty(t, Comment(other))
	}
}

// A name of an interface is in the machine's own order, unless it is a part of a joined key.
func TestOrdersOfBytesAreNoted(t *testing.T) {
	note := func(kind byte, order uint32) []byte { return binary.NativeEndian.AppendUint32([]byte{kind, 4}, order) }
	require.Equal(t, note(0, 1), byteOrders(Set{Key: []Type{InterfaceName}}))
	require.Equal(t, note(0, 2), byteOrders(Set{Key: []Type{InterfaceName, InterfaceName}}))
	require.Equal(t, append(note(0, 2), note(1, 2)...), byteOrders(Set{Key: []Type{IPv4}, Data: []Type{Port}}))
}

func TestAnswersAreRead(t *testing.T) {
	const table = Table("t")
	comment, dormant := ReadTable(table.Create("v 2").Data)
	require.Equal(t, "v 2", comment)
	require.False(t, dormant)
	_, dormant = ReadTable(append(table.Create("").Data, attributes{}.number(unix.NFTA_TABLE_FLAGS, unix.NFT_TABLE_F_DORMANT)...))
	require.True(t, dormant)
	require.Equal(t, uint32(7), ReadGeneration(append(make([]byte, 4), attributes{}.number(unix.NFTA_GEN_ID, 7)...)))
	code := Join(Meta(unix.NFT_META_OIFNAME, 1), In("s"), Accept())
	require.Equal(t, "c meta lookup immediate", ReadRule(table.AddRule("c", "", code).Data))
	require.Equal(t, "c meta lookup immediate", Shape("c", code))
	e := Element{Set: "s", Key: []byte{1, 2, 3, 4}, Data: []byte{5, 6}, Comment: "who"}
	require.Equal(t, []Element{e}, ReadElements("s", table.AddElements([]Element{e})[0].Data))
	end := Element{Set: "s", Key: []byte{1}, End: true}
	require.Equal(t, []Element{end}, ReadElements("s", table.AddElements([]Element{end})[0].Data))
	require.Empty(t, ReadElements("s", nil))
}
