// Package health judges what a health check finds, by Docker's rules. A container is starting until
// its check succeeds once, and unhealthy after several failures in a row; failures while it may
// still be starting do not count. Running the check is the caller's. The lesson reads Check.Note.
package health

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/oci"
)

// The words for a container's health.
const (
	Starting  = "starting"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

// Shortest is the shortest time that is not 0, as in Docker.
const Shortest = time.Millisecond

// none is the Test of a container that is not to be checked, though its image says how.
const none = "NONE"

const (
	remembered = 5    // results
	mostOutput = 4096 // bytes of each
)

// Check is a health check and what it has found since the container was started.
type Check struct {
	oci.Healthcheck
	Started time.Time
	Found   api.Health
}

// New is a check that has found nothing yet; times that are zero become Docker's defaults. Without
// a command to run it is nil, and as in Docker, an image's check of another kind is none.
func New(given *oci.Healthcheck) *Check {
	known := []string{"CMD", "CMD-SHELL"}
	if given == nil || len(given.Test) > 0 && !slices.Contains(known, given.Test[0]) {
		return nil
	}
	h := *given
	h.Interval = cmp.Or(h.Interval, 30*time.Second)
	h.Timeout = cmp.Or(h.Timeout, 30*time.Second)
	h.StartInterval = cmp.Or(h.StartInterval, 5*time.Second)
	h.Retries = cmp.Or(h.Retries, 3)
	return &Check{Healthcheck: h, Found: api.Health{Status: Starting, Log: []api.HealthResult{}}}
}

// isStarting reports whether the container may not be ready yet.
func (c *Check) isStarting(at time.Time) bool {
	return c.Found.Status == Starting && at.Sub(c.Started) < c.StartPeriod
}

// Delay is the time between the last run of the check, or the start, and the next.
func (c *Check) Delay() time.Duration {
	if c.isStarting(time.Now()) {
		return c.StartInterval
	}
	return c.Interval
}

// Note takes a result into account.
func (c *Check) Note(began time.Time, result api.HealthResult) {
	switch {
	case result.ExitCode == 0:
		c.Found.Status, c.Found.FailingStreak = Healthy, 0
	case !c.isStarting(began):
		c.Found.FailingStreak++
		if c.Found.FailingStreak >= c.Retries {
			c.Found.Status = Unhealthy
		}
	}
	c.Found.Log = append(c.Found.Log, result)
	c.Found.Log = c.Found.Log[max(0, len(c.Found.Log)-remembered):]
}

// Result describes a run of the check that began at a time and has ended with err, which is that
// of exec.Cmd.Run. Docker's exit status of one that took too long, or could not run, is -1.
func (c *Check) Result(began time.Time, err error, tooLong bool, output *Output) api.HealthResult {
	r := api.HealthResult{Start: api.Time(began), End: api.Time(time.Now()), Output: output.String()}
	var exit *exec.ExitError
	switch {
	case tooLong:
		r.ExitCode, r.Output = -1, fmt.Sprintf("Health check exceeded timeout (%v)", c.Timeout)
		if output.Len() > 0 {
			r.Output += ": " + output.String()
		}
	case errors.As(err, &exit):
		r.ExitCode = exit.ExitCode()
	case err != nil:
		r.ExitCode, r.Output = -1, err.Error()
	}
	return r
}

// Argv is the command line of the check; shell is the image's, which may be nil.
func (c *Check) Argv(shell []string) []string {
	if c.Test[0] == "CMD" {
		return c.Test[1:]
	}
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), c.Test[1:]...)
}

// Parse reads a command as HEALTHCHECK CMD has it: words in JSON, or a line for the shell.
func Parse(command string) []string {
	var words []string
	if json.Unmarshal([]byte(command), &words) == nil && len(words) > 0 {
		return append([]string{"CMD"}, words...)
	}
	return []string{"CMD-SHELL", command}
}

// Merge is the check of a container: its own, and where that says nothing, its image's. Without a
// check it is nil.
func Merge(own oci.Healthcheck, image *oci.Healthcheck) *oci.Healthcheck {
	if image != nil {
		if len(own.Test) == 0 {
			own.Test = image.Test
		}
		own.Interval = cmp.Or(own.Interval, image.Interval)
		own.Timeout = cmp.Or(own.Timeout, image.Timeout)
		own.StartPeriod = cmp.Or(own.StartPeriod, image.StartPeriod)
		own.StartInterval = cmp.Or(own.StartInterval, image.StartInterval)
		own.Retries = cmp.Or(own.Retries, image.Retries)
	}
	switch {
	case slices.Equal(own.Test, []string{none}):
		return &oci.Healthcheck{Test: own.Test}
	case len(own.Test) < 2:
		return nil
	}
	return &own
}

// Output keeps the beginning of what a check prints.
type Output struct {
	kept []byte
	more bool
}

// Write takes all, so that the check is not stopped by a full pipe.
func (o *Output) Write(p []byte) (int, error) {
	fits := min(len(p), mostOutput-len(o.kept))
	o.kept, o.more = append(o.kept, p[:fits]...), o.more || fits < len(p)
	return len(p), nil
}

// Len is how many bytes are kept.
func (o *Output) Len() int { return len(o.kept) }

func (o *Output) String() string {
	if o.more {
		return string(o.kept) + "..."
	}
	return string(o.kept)
}
