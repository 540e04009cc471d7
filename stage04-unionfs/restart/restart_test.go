package restart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolicies(t *testing.T) {
	for text, want := range map[string]struct {
		name                           string
		most                           int
		succeeded, failed, failedAgain bool
	}{
		"":               {"no", 0, false, false, false},
		"no":             {"no", 0, false, false, false},
		"always":         {"always", 0, true, true, true},
		"unless-stopped": {"unless-stopped", 0, true, true, true},
		"on-failure":     {"on-failure", 0, false, true, true},
		"on-failure:1":   {"on-failure", 1, false, true, false},
	} {
		var p Policy
		require.NoError(t, p.UnmarshalText([]byte(text)))
		name, most := p.Split()
		require.Equal(t, want.name, name)
		require.Equal(t, want.most, most)
		require.Equal(t, []bool{want.succeeded, want.failed, want.failedAgain}, []bool{p.Wants(0, 0), p.Wants(1, 0), p.Wants(1, 1)}, text)
	}
}

func TestWhatIsNoPolicy(t *testing.T) {
	var p Policy
	require.ErrorContains(t, p.UnmarshalText([]byte("always:3")), "only on-failure takes a number")
	require.ErrorContains(t, p.UnmarshalText([]byte("on-failure:-1")), "only on-failure takes a number")
	require.ErrorContains(t, p.UnmarshalText([]byte("sometimes")), "no such policy")
}
