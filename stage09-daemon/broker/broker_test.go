package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage09-daemon/broker"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// A reader gets what it wants, and one that does not read is let go without holding up another.
func TestBroker(t *testing.T) {
	var b broker.Broker
	begin := time.Now()
	b.Publish(broker.New("container", "create", "x", nil))
	want := func(e broker.Event) bool { return e.Type == "container" }
	slow, past := b.Subscribe(begin, want)
	require.Len(t, past, 1)
	quick, past := b.Subscribe(time.Time{}, want)
	require.Empty(t, past)
	for range 300 {
		b.Publish(broker.New("container", "start", "x", nil))
		b.Publish(broker.New("volume", "create", "v", nil))
		require.Equal(t, "start", (<-quick.C).Action)
	}
	n := 0
	for range slow.C { // it was closed
		n++
	}
	require.Equal(t, 256, n)
	b.Leave(slow)
	b.Leave(quick)
	_, open := <-quick.C
	require.False(t, open)
}

func TestMatches(t *testing.T) {
	e := broker.New("container", "die", "0123456789abcdef", map[string]string{"name": "web", "image": "tiny:latest", "l": "1"})
	for filter, is := range map[string]bool{"type=container": true, "type=image": false, "event=die": true, "container=web": true, "container=0123456789ab": true, "container=01": false,
		"image=tiny": true, "label=l": true, "label=l=2": false, "network=web": false, "scope=local": true} {
		require.Equal(t, is, e.Matches([]string{filter}), filter)
	}
	require.True(t, e.Matches([]string{"event=start", "event=die", "type=container"}))
}
