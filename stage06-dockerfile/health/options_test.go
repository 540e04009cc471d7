package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/oci"
)

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"--health-timeout 1ns: the shortest time is 1ms":        {HealthTimeout: 1},
		"--health-retries -1: give a positive number":           {HealthRetries: -1},
		"--no-healthcheck and --health-cmd exclude one another": {NoHealthcheck: true, HealthCmd: "x"},
		"": {HealthCmd: "x", HealthTimeout: time.Second, HealthRetries: 2},
	} {
		err := o.AfterApply()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, want)
	}
}

// The flags win over the image, and nothing said is no check.
func TestOptionsAndImage(t *testing.T) {
	image := &oci.Healthcheck{Test: []string{"CMD", "image"}, Retries: 7}
	require.Nil(t, (&Options{}).Check(nil))
	require.Equal(t, image, (&Options{}).Check(image))
	own := (&Options{HealthCmd: "own", HealthInterval: time.Second}).Check(image)
	require.Equal(t, Parse("own"), own.Test)
	require.Equal(t, time.Second, own.Interval)
	require.Nil(t, New((&Options{NoHealthcheck: true}).Check(image)))
}
