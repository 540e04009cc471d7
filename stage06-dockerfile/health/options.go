package health

import (
	"errors"
	"fmt"
	"time"

	"stagebox/stage05-images/oci"
)

// Options are the flags about the health check.
type Options struct {
	HealthCmd           string        `json:",omitempty" help:"Command that succeeds when the container works; [\"NAME\", \"ARG\"] runs without a shell." placeholder:"COMMAND" group:"Health:"`
	HealthInterval      time.Duration `json:",omitempty" help:"Time between two runs of the check (default: 30s)." placeholder:"TIME" group:"Health:"`
	HealthTimeout       time.Duration `json:",omitempty" help:"Time after which a run of the check has failed (default: 30s)." placeholder:"TIME" group:"Health:"`
	HealthRetries       int           `json:",omitempty" help:"Failures in a row that make the container unhealthy (default: 3)." placeholder:"N" group:"Health:"`
	HealthStartPeriod   time.Duration `json:",omitempty" help:"Time to start, in which failures do not count." placeholder:"TIME" group:"Health:"`
	HealthStartInterval time.Duration `json:",omitempty" help:"Time between two runs of the check in the start period (default: 5s)." placeholder:"TIME" group:"Health:"`
	NoHealthcheck       bool          `json:",omitempty" help:"Run no health check, whatever the image says." group:"Health:"`
}

// AfterApply refuses times that would leave no pause between two checks.
func (h *Options) AfterApply() error {
	for flag, time := range map[string]time.Duration{"--health-interval": h.HealthInterval, "--health-timeout": h.HealthTimeout,
		"--health-start-period": h.HealthStartPeriod, "--health-start-interval": h.HealthStartInterval} {
		if time != 0 && time < Shortest {
			return fmt.Errorf("%s %v: the shortest time is %v", flag, time, Shortest)
		}
	}
	if h.HealthRetries < 0 {
		return fmt.Errorf("--health-retries %d: give a positive number", h.HealthRetries)
	}
	if h.NoHealthcheck && h.HealthCmd != "" {
		return errors.New("--no-healthcheck and --health-cmd exclude one another")
	}
	return nil
}

// Check is what the flags and an image, whose check may be nil, say together; nil if they say nothing.
func (h *Options) Check(image *oci.Healthcheck) *oci.Healthcheck {
	own := oci.Healthcheck{Interval: h.HealthInterval, Timeout: h.HealthTimeout, Retries: h.HealthRetries,
		StartPeriod: h.HealthStartPeriod, StartInterval: h.HealthStartInterval}
	switch {
	case h.NoHealthcheck:
		own = oci.Healthcheck{Test: []string{none}}
	case h.HealthCmd != "":
		own.Test = Parse(h.HealthCmd)
	}
	return Merge(own, image)
}
