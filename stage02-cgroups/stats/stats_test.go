package stats

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSince(t *testing.T) {
	began := time.Now()
	before := &Usage{At: began, Used: time.Second}
	for i := range 30 {
		now := &Usage{At: before.At.Add(2 * time.Second), Used: before.Used + time.Second}
		now.since(before)
		require.Equal(t, 50.0, now.CPU)
		require.Len(t, now.history, min(i+1, 20))
		before = now
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, began := 0, time.Now()
		read := func() (map[string]*Usage, error) {
			if n++; n == 4 {
				return nil, errors.New("no such cgroup")
			}
			u := &Usage{PID: 7, At: time.Now(), Used: time.Since(began) / 4}
			return map[string]*Usage{"a": u, "ended": {At: time.Now()}}, nil
		}
		var out strings.Builder
		require.NoError(t, Display{JSON: true}.Watch(&out, false, read))
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, 2, n)
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), `{"pid":7,"command":"","cpu_percent":25,`)

		n = 0
		out.Reset()
		require.EqualError(t, Display{JSON: true}.Watch(&out, true, read), "no such cgroup")
		require.Equal(t, 2, strings.Count(out.String(), `"cpu_percent":25,`))
	})
}

func TestShow(t *testing.T) {
	readings := map[string]*Usage{
		"a": {PID: 20, Command: "sleep", CPU: 12.34, Memory: 1 << 20, Pids: 1, Pressure: "0.00/0.00/0.00"},
		"b": {PID: 3, Command: "a name of more than 20 letters", MemoryLimit: 64 << 20, PidsLimit: 100},
	}
	show := func(d Display) string {
		var out strings.Builder
		require.NoError(t, d.Show(&out, readings))
		return out.String()
	}
	table := strings.Split(show(Display{}), "\n")
	require.Equal(t, []string{"PID", "COMMAND", "CPU", "LATELY", "MEMORY", "/", "LIMIT", "PIDS", "/", "LIMIT", "READ", "/", "WRITTEN", "WAITED", "cpu/mem/io"},
		strings.Fields(table[0]))
	require.Contains(t, table[1], "3    a name of more than ")
	require.NotContains(t, table[1], "letters")
	require.Contains(t, table[1], " / 100 ")
	require.Contains(t, table[2], "12.3%")
	require.Contains(t, table[2], "1 / none")
	require.NotContains(t, show(Display{JSON: true}), "net_")
	require.True(t, strings.HasPrefix(show(Display{InPlace: true}), "\x1b["))

	for _, u := range readings {
		u.Network = &Network{Received: 2048, Sent: 1}
	}
	table = strings.Split(show(Display{Network: true}), "\n")
	require.Contains(t, table[0], "RECEIVED / SENT")
	require.Contains(t, table[1], "2 KiB / 1 B")
	require.Contains(t, show(Display{JSON: true}), `"block_written":0,"net_received":2048,"net_sent":1}`)
}
