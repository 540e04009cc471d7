// A process that runs may have stopped doing its work. A health check is a command that tells: the
// box that stays with a container runs it inside from time to time, as box exec would, and writes
// what it finds into health.json, beside the record. Read Container.watchHealth, then checkHealth.

package main

import (
	"context"
	"os/exec"
	"sync"
	"time"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage06-dockerfile/health"
)

// watchHealth has the container checked from its start on, until stop is called.
func (c *Container) watchHealth(p *Plan) (stop func(), err error) {
	check := health.New(c.healthcheck())
	if check == nil || c.record == nil || c.DryRun {
		return func() {}, nil
	}
	if err := c.record.writeHealth(check); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var checks sync.WaitGroup
	started := p.started
	p.started = func(pid int) error {
		if err := started(pid); err != nil {
			return err
		}
		checks.Go(func() { c.record.checkHealth(ctx, check) })
		return nil
	}
	return func() { cancel(); checks.Wait() }, nil
}

// checkHealth runs the check again and again, but not while the container is paused.
func (r *Record) checkHealth(ctx context.Context, check *health.Check) {
	check.Started = time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(check.Delay()):
		}
		if r.isPaused() {
			continue
		}
		began := time.Now()
		result := r.probe(ctx, check, began)
		if ctx.Err() != nil { // the container has ended
			return
		}
		check.Note(began, result)
		complain(r.writeHealth(check))
	}
}

// probe runs the check once. Killing this box exec ends its process in the container too.
func (r *Record) probe(
	ctx context.Context, check *health.Check, began time.Time,
) api.HealthResult {
	within, cancel := context.WithTimeout(ctx, check.Timeout)
	defer cancel()
	var output health.Output
	box := exec.CommandContext(within, "/proc/self/exe", "exec", "--root", r.store.dir(), r.ID)
	box.Args = append(box.Args, check.Argv(r.shell())...)
	box.Stdout, box.Stderr, box.WaitDelay = &output, &output, time.Second
	err := box.Run()
	return check.Result(began, err, within.Err() != nil, &output)
}

func (r *Record) writeHealth(check *health.Check) error {
	return state.WriteJSON(r.path("health.json"), check.Found, state.Volatile)
}

// health is what the check of a container has found, nil without one. A container that has ended is
// unhealthy.
func (r *Record) health() *api.Health {
	if health.New(r.Run.healthcheck()) == nil {
		return nil
	}
	found := &api.Health{}
	if err := state.ReadJSON(r.path("health.json"), found); err != nil {
		return nil
	}
	if !r.isRunning() {
		found.Status = health.Unhealthy
	}
	return found
}
