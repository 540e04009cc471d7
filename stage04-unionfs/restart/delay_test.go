package restart

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelay(t *testing.T) {
	const ms = time.Millisecond
	delay := time.Duration(0)
	for _, want := range []time.Duration{100 * ms, 200 * ms, 400 * ms} {
		delay = Delay(delay, time.Second)
		require.Equal(t, want, delay)
	}
	require.Equal(t, time.Minute, Delay(50*time.Second, 0))
	require.Equal(t, 100*ms, Delay(time.Minute, 10*time.Second))
}
