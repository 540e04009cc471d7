package health

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/oci"
)

var (
	good = api.HealthResult{ExitCode: 0}
	bad  = api.HealthResult{ExitCode: 1}
)

func TestFailuresInARowAreUnhealthy(t *testing.T) {
	c := New(&oci.Healthcheck{})
	require.Equal(t, Starting, c.Found.Status)
	for _, step := range []struct {
		result api.HealthResult
		status string
		streak int
	}{{bad, Starting, 1}, {bad, Starting, 2}, {good, Healthy, 0}, {bad, Healthy, 1},
		{bad, Healthy, 2}, {bad, Unhealthy, 3}, {bad, Unhealthy, 4}, {good, Healthy, 0}} {
		c.Note(time.Now(), step.result)
		require.Equal(t, step.status, c.Found.Status)
		require.Equal(t, step.streak, c.Found.FailingStreak)
	}
	require.Len(t, c.Found.Log, 5)
}

func TestFailuresOfTheStartDoNotCount(t *testing.T) {
	c := New(&oci.Healthcheck{StartPeriod: time.Hour, Retries: 1})
	c.Started = time.Now()
	require.Equal(t, 5*time.Second, c.Delay())
	c.Note(c.Started, bad)
	require.Equal(t, Starting, c.Found.Status)
	require.Zero(t, c.Found.FailingStreak)
	c.Note(c.Started.Add(2*time.Hour), bad)
	require.Equal(t, Unhealthy, c.Found.Status)
	c.Note(c.Started, good)
	c.Note(c.Started, bad) // its start is over, since it was healthy
	require.Equal(t, Unhealthy, c.Found.Status)
	require.Equal(t, 30*time.Second, c.Delay())
}

func TestResult(t *testing.T) {
	c := New(&oci.Healthcheck{Timeout: time.Second})
	out := &Output{}
	out.Write([]byte("no answer"))
	err := exec.Command("sh", "-c", "exit 7").Run()
	require.Equal(t, 7, c.Result(time.Now(), err, false, out).ExitCode)
	require.Equal(t, "no answer", c.Result(time.Now(), err, false, out).Output)
	late := c.Result(time.Now(), err, true, out)
	require.Equal(t, -1, late.ExitCode)
	require.Equal(t, "Health check exceeded timeout (1s): no answer", late.Output)
	require.Zero(t, c.Result(time.Now(), nil, false, out).ExitCode)
}

func TestOutputIsLimited(t *testing.T) {
	out := &Output{}
	for range 3 {
		n, err := out.Write([]byte(strings.Repeat("x", 3000)))
		require.NoError(t, err)
		require.Equal(t, 3000, n)
	}
	require.Equal(t, strings.Repeat("x", 4096)+"...", out.String())
}

func TestMerge(t *testing.T) {
	image := &oci.Healthcheck{Test: []string{"CMD", "true"}, Retries: 7, Interval: time.Minute}
	require.Nil(t, Merge(oci.Healthcheck{Interval: time.Second}, nil))
	require.Equal(t, image, Merge(oci.Healthcheck{}, image))
	own := Merge(oci.Healthcheck{Test: Parse("test -e /ok"), Interval: time.Second}, image)
	require.Equal(t, &oci.Healthcheck{Test: []string{"CMD-SHELL", "test -e /ok"}, Retries: 7,
		Interval: time.Second}, own)
	none := Merge(oci.Healthcheck{Test: []string{"NONE"}}, image)
	require.Equal(t, []string{"NONE"}, none.Test)
	require.Nil(t, New(none))
	require.Nil(t, New(nil))
	require.Nil(t, New(&oci.Healthcheck{Test: []string{"EXEC", "true"}}), "of another kind, which Docker does not run either")
}

func TestArgv(t *testing.T) {
	for command, argv := range map[string][]string{
		`["a", "b c"]`: {"a", "b c"}, "[ -e /ok ]": {"/bin/sh", "-c", "[ -e /ok ]"}, "a b": {"/bin/sh", "-c", "a b"},
	} {
		require.Equal(t, argv, New(&oci.Healthcheck{Test: Parse(command)}).Argv(nil))
	}
	require.Equal(t, []string{"/bin/ash", "-ec", "x"}, New(&oci.Healthcheck{Test: Parse("x")}).Argv([]string{"/bin/ash", "-ec"}))
}
