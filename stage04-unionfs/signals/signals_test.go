package signals_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/signals"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestParse(t *testing.T) {
	for text, want := range map[string]unix.Signal{"TERM": 15, "sigkill": 9, "15": 15, "64": 64,
		"SIGRTMIN": 34, "RTMIN+3": 37, "SIGRTMIN+30": 64, "SIGRTMAX": 64, "rtmax-30": 34} {
		got, err := signals.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "0", "65", "+9", "NOSUCH", "SIGRTMIN+31", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMAX-31", "SIGRTMIN+x", "TERM+1", "NOSUCH+40"} {
		_, err := signals.Parse(text)
		require.ErrorContains(t, err, "there is no such signal", text)
	}
}

func TestOr(t *testing.T) {
	for text, want := range map[string]unix.Signal{"": unix.SIGTERM, "QUIT": unix.SIGQUIT, "NOSUCH": unix.SIGTERM} {
		require.Equal(t, want, signals.Or(text, unix.SIGTERM), text)
	}
}
