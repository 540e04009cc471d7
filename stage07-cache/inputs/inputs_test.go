package inputs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestDifference(t *testing.T) {
	require.Empty(t, Difference([]Input{{"parent", "1"}}, []Input{{"parent", "1"}}), "the control")
	for want, c := range map[string]struct{ before, now []Input }{
		ParentChanged:                              {[]Input{{"parent", "1"}}, []Input{{"parent", "2"}}},
		"instruction changed":                      {[]Input{{"instruction", "A"}, {"ARG V", "1"}}, []Input{{"instruction", "B"}, {"ARG V", "2"}}},
		"ARG V 1 → 2":                              {[]Input{{"parent", "1"}, {"ARG V", "1"}}, []Input{{"parent", "2"}, {"ARG V", "2"}}},
		"ARG V is new":                             {nil, []Input{{"ARG V", "2"}}},
		"base image a: 0123… → fedc…":              {[]Input{{"base a", "sha256:012345"}}, []Input{{"base a", "sha256:fedcba"}}},
		"a changed (mode)":                         {[]Input{{"file a", "100644 0 0 sum"}}, []Input{{"file a", "100755 0 0 sum"}}},
		"a changed (owner, content)":               {[]Input{{"file a", "100644 0 0 sum"}}, []Input{{"file a", "100644 1 0 other"}}},
		"a is gone":                                {[]Input{{"file a", "100644 0 0 sum"}}, nil},
		"its network changed":                      {[]Input{{"network", "host"}}, []Input{{"network", "none"}}},
		"a is new; b is new; c is new; and 1 more": {nil, []Input{{"file a", ""}, {"file b", ""}, {"file c", ""}, {"file d", ""}}},
	} {
		require.Equal(t, want, Difference(c.before, c.now))
	}
}

func TestChangedFile(t *testing.T) {
	before := []Input{{"instruction", "COPY"}, {"file a", "1"}, {"file b", "2"}}
	require.Empty(t, ChangedFile(before, before), "the control")
	require.Equal(t, "b", ChangedFile(before, []Input{{"instruction", "COPY"}, {"file a", "1"}, {"file b", "3"}}))
	require.Equal(t, "the list of files", ChangedFile(before, before[:2]))
	require.Equal(t, "c", ChangedFile(before, append(before[:3:3], Input{"file c", "1"})))
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	Print(&out, "COPY a /", "0123", []Input{{"parent", ""}, {"file a b", "x \"y\""}})
	require.Equal(t, "key of \"COPY a /\": 0123\n  parent = \"\"\n  file a b = \"x \\\"y\\\"\"\n", out.String())
}
