package units

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "4096": 4096, "512b": 512, "64m": 64 << 20, "64M": 64 << 20, "64mb": 64 << 20, "64MiB": 64 << 20,
		"1.5g": 3 << 29, "1k": 1024, "2t": 2 << 40, ".5k": 512, "-1": -1, "0": 0, "0m": 0,
	} {
		n, err := ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for text, says := range map[string]string{
		"": "is not a size", "m": "is not a size", "64x": "is not a size", "64 m": "is not a size", "-64m": "is not a size",
		"1e3": "is not a size", "0x10": "is not a size", "1.2.3m": "is not a size", "64mm": "is not a size", "64bb": "is not a size",
		"nan": "is not a size", "inf": "is not a size", "6４m": "is not a size",
		"0.1b": "less than a byte", "99999999p": "more than any machine",
	} {
		_, err := ParseSize(text)
		require.ErrorContains(t, err, says, text)
	}
}

func TestParseCPUs(t *testing.T) {
	var c CPUs
	for text, want := range map[string]CPUs{"1": 100000, "0.5": 50000, "1.25": 125000, "0.01": 1000, "0": 0} {
		require.NoError(t, c.UnmarshalText([]byte(text)))
		require.Equal(t, want, c, text)
	}
	for _, text := range []string{"", "-1", "0.001", "NaN", "Inf", "1e2", "0x1p4", "half", "99999999999"} {
		require.Error(t, c.UnmarshalText([]byte(text)), text)
	}
}

// Period and quota are as the kernel takes them; 0 is the default, and -1 any quota.
func TestParseQuota(t *testing.T) {
	var p CPUPeriod
	var q CPUQuota
	for _, text := range []string{"0", "1000", "1000000"} {
		require.NoError(t, p.UnmarshalText([]byte(text)), text)
		require.NoError(t, q.UnmarshalText([]byte(text)), text)
		require.Equal(t, text, fmt.Sprint(int64(p)))
		require.Equal(t, text, fmt.Sprint(int64(q)))
	}
	for _, text := range []string{"", "-1", "999", "1000001", "1e5", "0.1"} {
		require.Error(t, p.UnmarshalText([]byte(text)), text)
	}
	require.NoError(t, q.UnmarshalText([]byte("-1")))
	for _, text := range []string{"", "-2", "999", "17592186044416", "1e5", "0.1"} {
		require.Error(t, q.UnmarshalText([]byte(text)), text)
	}
}

// The values of runc's own test of its formula, and of the issue that asked for it.
func TestWeights(t *testing.T) {
	for v1, v2 := range map[Weight]int64{2: 1, 3: 2, 100: 17, 512: 59, 1024: 100, 2048: 174, 262144: 10000} {
		require.Equal(t, v2, v1.V2(), "%d", v1)
	}
	last := int64(1)
	for w := Weight(2); w <= 262144; w++ {
		v2 := w.V2()
		require.True(t, last <= v2 && v2 <= 10000, "%d: %d after %d", w, v2, last)
		last = v2
	}
	var w Weight
	require.NoError(t, w.UnmarshalText([]byte("0")))
	require.Error(t, w.UnmarshalText([]byte("1")))
}

func TestIOWeights(t *testing.T) {
	for v1, v2 := range map[IOWeight]int64{10: 1, 17: 71, 100: 910, 500: 4950, 1000: 10000} {
		require.Equal(t, v2, v1.V2(), "%d", v1)
	}
}

func TestParseCPUList(t *testing.T) {
	list, err := parseCPUList("0-2,4")
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 4}, list)
	for _, text := range []string{"", "a", "1-", "-1", "2-1", "1,,2", "99999"} {
		_, err := parseCPUList(text)
		require.Error(t, err, text)
	}
}

// FuzzParseSize: whatever is accepted is a size, and written out as bytes is the same size.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"64m", "1.5g", "-1", "0", "1kib", "9e9", "٣m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			require.Contains(t, err.Error(), strconv.Quote(s))
			return
		}
		require.GreaterOrEqual(t, n, int64(-1), s)
		again, err := ParseSize(fmt.Sprint(n))
		require.NoError(t, err)
		require.Equal(t, n, again)
	})
}

// FuzzParseCPUs: whatever is accepted is no limit, or a quota that the kernel takes, 1 ms or more a period.
func FuzzParseCPUs(f *testing.F) {
	for _, s := range []string{"1", "0.5", "0.01", "-0", "1e9", "infinity"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c CPUs
		if c.UnmarshalText([]byte(s)) == nil && c != 0 {
			require.GreaterOrEqual(t, int64(c), int64(1000))
		}
	})
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB",
		3 << 29: "1.5 GiB", 2 << 40: "2 TiB", 1 << 60: "1048576 TiB", 1<<60 + 1: "no limit", -1: "no limit"} {
		require.Equal(t, want, FormatSize(n))
	}
}

func TestScore(t *testing.T) {
	var s Score
	for _, text := range []string{"-1000", "0", "1000"} {
		require.NoError(t, s.UnmarshalText([]byte(text)), text)
	}
	for _, text := range []string{"-1001", "1001", "", "x"} {
		require.ErrorContains(t, s.UnmarshalText([]byte(text)), "is not a number from -1000 to 1000", text)
	}
	require.NoError(t, json.Unmarshal([]byte("-7"), &s))
	require.Equal(t, Score(-7), s)
}

// What docker ps says of the same ages.
func TestFormatAge(t *testing.T) {
	const day = 24 * time.Hour
	for age, want := range map[time.Duration]string{0: "Less than a second", 1500 * time.Millisecond: "1 second", 42 * time.Second: "42 seconds",
		90 * time.Second: "About a minute", 3 * time.Minute: "3 minutes", 59*time.Minute + 30*time.Second: "59 minutes", 80 * time.Minute: "About an hour",
		100 * time.Minute: "2 hours", 47*time.Hour + 10*time.Minute: "47 hours", 47*time.Hour + 40*time.Minute: "2 days", 49 * time.Hour: "2 days", 13 * day: "13 days", 20 * day: "2 weeks",
		59 * day: "8 weeks", 100 * day: "3 months", 729 * day: "24 months", 800 * day: "2 years", -time.Hour: "Less than a second"} {
		require.Equal(t, want, FormatAge(time.Now().Add(-age)), age)
	}
}

// A record has the numbers, not what was typed.
func TestJSON(t *testing.T) {
	type limits struct {
		Memory Size
		CPUs   CPUs
		Shares Weight
		Pids   Processes
		Period CPUPeriod
		Quota  CPUQuota
	}
	want := limits{64 << 20, 50000, 1024, -1, 50000, -1}
	data, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, `{"Memory":67108864,"CPUs":50000,"Shares":1024,"Pids":-1,"Period":50000,"Quota":-1}`, string(data))
	var got limits
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, want, got)
}
