package journal_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/journal"
)

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 40_000) + "\n"
	for _, c := range []struct {
		log   string
		lines int
		want  string
	}{
		{"a\nb\nc\n", 0, ""}, {"a\nb\nc\n", 1, "c\n"}, {"a\nb\nc\n", 3, "a\nb\nc\n"}, {"a\nb\nc\n", 9, "a\nb\nc\n"},
		{"", 1, ""}, {"a\n" + long + "b\n", 2, long + "b\n"}, {long + long, 1, long}, {long, 5, long},
	} {
		log := strings.NewReader(c.log)
		require.NoError(t, journal.Tail(log, c.lines))
		rest, err := io.ReadAll(log)
		require.NoError(t, err)
		require.Equal(t, c.want, string(rest), c.lines)
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2025, 3, 4, 5, 6, 7, 0, time.FixedZone("here", 3600))
	for text, want := range map[string]time.Time{
		"10m":                            now.Add(-10 * time.Minute),
		"1h30m":                          now.Add(-90 * time.Minute),
		"-5s":                            now.Add(5 * time.Second),
		"2025-01-02":                     time.Date(2025, 1, 2, 0, 0, 0, 0, now.Location()),
		"2025-01-02T03:04":               time.Date(2025, 1, 2, 3, 4, 0, 0, now.Location()),
		"2025-01-02T03:04:05.6":          time.Date(2025, 1, 2, 3, 4, 5, 6e8, now.Location()),
		"2025-01-02T03:04:05.678901234Z": time.Date(2025, 1, 2, 3, 4, 5, 678901234, time.UTC),
		"2025-01-02T03:04:05+02:00":      time.Date(2025, 1, 2, 1, 4, 5, 0, time.UTC),
		"0":                              time.Unix(0, 0),
		"1136073845.000000001":           time.Unix(1136073845, 1),
		"1136073845.5":                   time.Unix(1136073845, 5e8),
	} {
		got, err := journal.ParseTime(text, now)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	for _, text := range []string{"soon", "2025-13-01", "1.x", "."} {
		_, err := journal.ParseTime(text, now)
		require.ErrorContains(t, err, text)
	}
}

// TestSelection: the time is printed once for a line that the log has in parts, and each stream
// has its own lines.
func TestSelection(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC)
	s := journal.Selection{Tail: "all", Timestamps: true, Until: "2025-01-02T03:04:06Z"}
	require.NoError(t, s.Parse(at))
	var out strings.Builder
	for _, line := range []journal.Line{{Log: "begin ", Stream: "stdout", Time: at}, {Log: "err\n", Stream: "stderr", Time: at},
		{Log: "end\n", Stream: "stdout", Time: at}, {Log: "late\n", Stream: "stdout", Time: at.Add(time.Second)}} {
		out.WriteString(s.Text(line))
	}
	const stamp = "2025-01-02T03:04:05.000006000Z "
	require.Equal(t, stamp+"begin "+stamp+"err\nend\n", out.String())
	require.ErrorContains(t, (&journal.Selection{Tail: "many"}).Parse(at), "--tail many")
}

// Show keeps the two streams apart, and goes on while the container runs.
func TestShow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	line := func(text, stream string) string {
		return `{"log":"` + text + `\n","stream":"` + stream + `","time":"2025-01-02T03:04:05Z"}` + "\n"
	}
	s := journal.Selection{Tail: "2"}
	require.NoError(t, s.Parse(time.Now()))
	var stdout, stderr strings.Builder
	require.NoError(t, s.Show(path, &stdout, &stderr, nil), "there is no log")
	require.NoError(t, os.WriteFile(path, []byte(line("a", "stdout")+line("b", "stdout")+line("c", "stderr")), 0o600))
	grown := false
	more := func() bool {
		if grown {
			return false
		}
		grown = true
		log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = log.WriteString(line("d", "stdout"))
		require.NoError(t, err)
		require.NoError(t, log.Close())
		return true
	}
	require.NoError(t, s.Show(path, &stdout, &stderr, more))
	require.Equal(t, "b\nd\n", stdout.String())
	require.Equal(t, "c\n", stderr.String())
}
