package ruleset

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage08-network/nft"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// kernel answers as the kernel does: with the attributes of the messages that were sent.
type kernel struct {
	table    []byte // nil without one
	rules    [][]byte
	elements map[string][][]byte // by set
	faster   func()              // another program's change, before the next of ours
	err      error               // of every question
}

func (k *kernel) ask(question nft.Message, flags uint16) ([][]byte, error) {
	const table nft.Table = "ours"
	switch question.Kind {
	case nft.Generation().Kind:
		return nil, k.err // 0
	case table.Get().Kind:
		if k.err == nil && k.table == nil {
			return nil, unix.ENOENT
		}
		return [][]byte{k.table}, k.err
	case table.Rules().Kind:
		return k.rules, k.err
	}
	for set, list := range k.elements {
		if string(table.Elements(set).Data) == string(question.Data) {
			return list, k.err
		}
	}
	return nil, unix.ENOENT
}

func (k *kernel) unless(_ uint32, changes ...nft.Message) error {
	if k.faster != nil {
		k.faster()
		k.faster = nil
		return unix.ERESTART
	}
	for _, m := range changes {
		switch m.Name {
		case "NFT_MSG_DELTABLE":
			*k = kernel{}
		case "NFT_MSG_NEWTABLE":
			k.table, k.elements = m.Data, map[string][][]byte{"set": nil, "map": nil}
		case "NFT_MSG_NEWRULE":
			k.rules = append(k.rules, m.Data)
		case "NFT_MSG_NEWSETELEM":
			k.elements["set"] = append(k.elements["set"], m.Data)
		}
	}
	return nil
}

func newRuleset() (*Ruleset, *kernel) {
	k := &kernel{}
	rules := func() []Rule {
		return []Rule{{"guard", "accept", nft.Accept()}, {"guard", "drop", nft.Drop()}, {"guard", "jump", nft.Jump("x")}}
	}
	sets := []nft.Set{{Name: "set", Key: []nft.Type{nft.Port}}, {Name: "map", Key: []nft.Type{nft.Port}, Data: []nft.Type{nft.Port}}}
	return &Ruleset{Table: "ours", Sets: sets, Chains: []nft.Chain{{Name: "guard"}}, Rules: rules,
		Comment: "made by a test, version ", Version: 2, Ask: k.ask, Unless: k.unless}, k
}

func requireFound(t *testing.T, r *Ruleset, found, whole bool) {
	isFound, isWhole, err := r.Find()
	require.NoError(t, err)
	require.Equal(t, []bool{found, whole}, []bool{isFound, isWhole})
}

func TestFind(t *testing.T) {
	r, k := newRuleset()
	requireFound(t, r, false, false)
	require.NoError(t, k.unless(0, r.Create()...))
	requireFound(t, r, true, true)
	k.rules = k.rules[1:]
	requireFound(t, r, true, false)
}

// TestReady mends the table with what its sets hold, also if another program changes it meanwhile.
func TestReady(t *testing.T) {
	r, k := newRuleset()
	there, err := r.Ready(false)
	require.NoError(t, err)
	require.False(t, there, "it is made by the next change")
	port := nft.Element{Set: "set", Key: nft.Concat([]byte{0, 80})}
	require.NoError(t, k.unless(0, append(r.Create(), r.Table.AddElements([]nft.Element{port})...)...))
	k.rules = nil
	there, err = r.Ready(true)
	require.NoError(t, err)
	require.True(t, there)
	requireFound(t, r, true, false)
	asked := 0
	k.faster = func() { asked++ }
	there, err = r.Ready(false)
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, 1, asked)
	requireFound(t, r, true, true)
	list, err := r.In(func(s nft.Set) bool { return s.Data == nil })
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, port.Key[:2], list[0].Key[:2])
}

// TestVersions: the table of an older one is made again, that of a newer one or of another program is
// left alone.
func TestVersions(t *testing.T) {
	for comment, c := range map[string]struct {
		sets bool
		says string
	}{
		"made by a test, version 1": {true, ""},
		"":                          {true, ""},
		"made by a test, version 3": {true, "made by a newer box (version 3)"},
		"something":                 {false, "made by another program; nft delete table inet ours removes it"},
	} {
		r, k := newRuleset()
		require.NoError(t, k.unless(0, r.Create()...))
		k.table = r.Table.Create(comment).Data
		if !c.sets {
			k.elements = nil
		}
		there, err := r.Ready(false)
		if c.says != "" {
			require.ErrorContains(t, err, c.says)
			require.ErrorAs(t, err, new(NotOurs))
			continue
		}
		require.NoError(t, err)
		require.True(t, there)
		requireFound(t, r, true, true)
	}
}

func TestErrors(t *testing.T) {
	for errno, says := range map[error]string{
		unix.EPERM:           "only root may change the host's network",
		unix.EPROTONOSUPPORT: "modprobe nf_tables",
		unix.EIO:             unix.EIO.Error(),
	} {
		r, k := newRuleset()
		k.err = errno
		_, _, err := r.Find()
		require.ErrorContains(t, err, says)
		require.ErrorIs(t, err, errno)
		require.False(t, errors.As(err, new(NotOurs)))
	}
	r, _ := newRuleset()
	list, err := r.Elements("set")
	require.NoError(t, err)
	require.Empty(t, list, "there is no table")
}
