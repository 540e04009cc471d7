// The flags about a container's health check.

package main

import (
	"errors"
	"fmt"
	"time"

	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/health"
)

// HealthOptions are the flags about the health check.
type HealthOptions struct {
	HealthCmd           string        `json:",omitempty" help:"Command that succeeds when the container works; [\"NAME\", \"ARG\"] runs without a shell." placeholder:"COMMAND" group:"Health:"`
	HealthInterval      time.Duration `json:",omitempty" help:"Time between two runs of the check (default: 30s)." placeholder:"TIME" group:"Health:"`
	HealthTimeout       time.Duration `json:",omitempty" help:"Time after which a run of the check has failed (default: 30s)." placeholder:"TIME" group:"Health:"`
	HealthRetries       int           `json:",omitempty" help:"Failures in a row that make the container unhealthy (default: 3)." placeholder:"N" group:"Health:"`
	HealthStartPeriod   time.Duration `json:",omitempty" help:"Time to start, in which failures do not count." placeholder:"TIME" group:"Health:"`
	HealthStartInterval time.Duration `json:",omitempty" help:"Time between two runs of the check in the start period (default: 5s)." placeholder:"TIME" group:"Health:"`
	NoHealthcheck       bool          `json:",omitempty" help:"Run no health check, whatever the image says." group:"Health:"`
}

// AfterApply refuses times that would leave no pause between two checks.
func (h *HealthOptions) AfterApply() error {
	for flag, time := range map[string]time.Duration{"--health-interval": h.HealthInterval, "--health-timeout": h.HealthTimeout,
		"--health-start-period": h.HealthStartPeriod, "--health-start-interval": h.HealthStartInterval} {
		if time != 0 && time < health.Shortest {
			return fmt.Errorf("%s %v: the shortest time is %v", flag, time, health.Shortest)
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

// healthcheck is what the flags and the image say of the check together; nil if they say nothing.
func (c *Container) healthcheck() *oci.Healthcheck {
	own := oci.Healthcheck{Interval: c.HealthInterval, Timeout: c.HealthTimeout, Retries: c.HealthRetries,
		StartPeriod: c.HealthStartPeriod, StartInterval: c.HealthStartInterval}
	switch {
	case c.NoHealthcheck:
		own = oci.Healthcheck{Test: []string{"NONE"}}
	case c.HealthCmd != "":
		own.Test = health.Parse(c.HealthCmd)
	}
	if c.record == nil || c.record.ImageConfig == nil {
		return health.Merge(own, nil)
	}
	return health.Merge(own, c.record.ImageConfig.Healthcheck)
}

// shell is what runs the check, if it is a line: the image's SHELL, nil for the default.
func (r *Record) shell() []string {
	if r.ImageConfig == nil {
		return nil
	}
	return r.ImageConfig.Shell
}
