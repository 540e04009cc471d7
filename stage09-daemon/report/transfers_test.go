package report_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage09-daemon/report"
)

// TestTransfers: programs look for the digest of what they have pushed.
func TestTransfers(t *testing.T) {
	for want, value := range map[string]any{
		`{"id":"latest","status":"Pulling from library/alpine"}`:                   report.Pulling("alpine"),
		`{"status":"The push refers to repository [localhost:5/a/b]"}`:             report.Pushing("localhost:5/a/b:1"),
		`{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:0123","Size":45}}`: report.Pushed("1: digest: sha256:0123 size: 45"),
	} {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.JSONEq(t, want, string(text))
	}
}
