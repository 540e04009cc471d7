// Handlers that begin and end containers, and wait for their end.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage09-daemon/broker"
	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/rest"
)

// createContainer answers 404 for an image that is not here: a client then pulls it. tiny is made.
func createContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Create
	if err := r.Decode(&body); err != nil {
		return err
	}
	body.NameNetworks(d.networkName)
	body.Platform = r.Param("platform")
	line, err := body.Words(strings.TrimPrefix(r.Param("name"), "/"))
	if err != nil {
		return err
	}
	if made, err := d.describeImage(body.Image); err == nil && made == nil && !isTiny(body.Image) {
		return rest.Errorf(http.StatusNotFound, "No such image: %s", body.Image)
	}
	id, err := d.run(r, line...)
	if err != nil && strings.HasPrefix(err.Error(), "--volumes-from") {
		err = rest.Errorf(http.StatusBadRequest, "%v", err) // 404 has a client pull the image
	}
	if err != nil {
		return notForPull(err)
	}
	answer := map[string]any{"Id": id, "Warnings": body.Warnings()}
	return rest.Answer(w, http.StatusCreated, answer)
}

// notForPull gives an error another status than 404, which would have the client pull the image,
// unless it is the image that is missing.
func notForPull(err error) error {
	var p rest.Problem
	errors.As(withStatus(err), &p) // it is one
	if p.Status == http.StatusNotFound && !strings.Contains(p.Text, "such image") {
		p.Status = http.StatusBadRequest
	}
	return p
}

// startContainer has a job start the container. It is held until those who wait are attached, so
// that they miss nothing, and until the daemon has opened the file that will have its exit status.
func startContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	switch {
	case c.stateWord() == "paused":
		return rest.Errorf(http.StatusConflict,
			"cannot start a paused container, try unpause instead")
	case c.isLive():
		return done(w, http.StatusNotModified, nil)
	}
	held, attached, err := attach.Hold(func() error {
		d.attachPending(c)
		d.watchRun(c.ID)
		return nil
	})
	if err != nil {
		return err
	}
	job := d.command(context.WithoutCancel(r.Context()), r, "start", "--hold", c.ID)
	job.Stdin = held
	job.marked()
	if err := errors.Join(job.Start(), attached()); err != nil {
		return err
	}
	return done(w, http.StatusNoContent, job.failure(job.Wait()))
}

// watchRun has the daemon open the file with the exit status of a run that is about to begin.
func (w *watch) watchRun(id string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.open(id)
}

func stopContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if !c.isLive() {
		return done(w, http.StatusNotModified, nil)
	}
	line := commandline.Stop("stop", r.Param("signal"), r.Param("t"))
	if _, err = d.run(r, line.With(c.ID)...); err == nil {
		d.emit("stop", c, nil)
	}
	return done(w, http.StatusNoContent, err)
}

func restartContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := commandline.Stop("restart", r.Param("signal"), r.Param("t"))
	return d.change(w, r, "restart", line)
}

func killContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := commandline.Words{"kill"}
	line.Add("--signal", r.Param("signal"))
	err := d.change(w, r, "kill", line)
	if fault.Of(err) == fault.Invalid {
		err = rest.Errorf(http.StatusBadRequest, "Invalid signal: %s: %v", r.Param("signal"), err)
	}
	return err
}

func pauseContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	return d.change(w, r, "pause", commandline.Words{"pause"})
}

func unpauseContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	return d.change(w, r, "unpause", commandline.Words{"unpause"})
}

// change runs a job on a container, and publishes what the store does not show.
func (d *daemon) change(w http.ResponseWriter, r *rest.Request, what string,
	line commandline.Words) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if _, err = d.run(r, line.With(c.ID)...); err == nil {
		d.emit(what, c, nil)
	}
	return done(w, http.StatusNoContent, err)
}

func renameContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err == nil {
		_, err = d.run(r, "rename", "--", c.ID, r.Param("name"))
	}
	return done(w, http.StatusNoContent, err)
}

func updateContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Update
	if err := r.Decode(&body); err != nil {
		return err
	}
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	line, err := body.Words(c.ID)
	if err == nil && line != nil {
		_, err = d.run(r, line...)
	}
	if err != nil {
		return err
	}
	d.emit("update", c, nil)
	return rest.Answer(w, http.StatusOK, map[string]any{"Warnings": nil})
}

func removeContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if r.Is("link") {
		return rest.Errorf(http.StatusNotImplemented, "remove %s: box has no links", r.Name)
	}
	line := commandline.Words{"rm"}
	line.On("--force", r.Is("force"))
	line.On("--volumes", r.Is("v"))
	_, err = d.run(r, line.With(c.ID)...)
	return done(w, http.StatusNoContent, err)
}

// waitContainer answers at once that it waits: before that, a client does not go on to start the
// container. The exit status follows at the end.
func waitContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	condition := r.Param("condition")
	switch condition {
	case "", "not-running", "next-exit", "removed":
	default:
		return rest.Errorf(http.StatusBadRequest, "wait: invalid condition: %q", condition)
	}
	events, _ := d.Subscribe(time.Time{}, func(e broker.Event) bool {
		return e.Actor.ID == c.ID && (e.Action == "die" || e.Action == "destroy")
	})
	defer d.Leave(events)
	out, err := rest.Begin(w, "application/json")
	if err != nil {
		return nil // the client has left
	}
	now, err := d.present(c.ID)
	over := err != nil || !now.isLive() && condition != "next-exit" && condition != "removed"
	if over { // or never begun
		return json.NewEncoder(out).Encode(waited{StatusCode: c.State.ExitCode})
	}
	status, err := awaitEnd(r.Context(), events, condition, c.State.ExitCode)
	if err != nil {
		return nil // the client has left
	}
	return json.NewEncoder(out).Encode(waited{StatusCode: status})
}

// waited is the answer of wait.
type waited struct {
	StatusCode int
	Error      *struct{ Message string }
}

// awaitEnd waits for events of a container, and returns its exit status.
func awaitEnd(ctx context.Context, events *broker.Reader, condition string, status int) (
	int, error) {
	for {
		select {
		case e, open := <-events.C:
			if !open {
				return 0, errors.New("too many events at once")
			}
			if e.Action == "die" {
				status, _ = strconv.Atoi(e.Actor.Attributes["exitCode"])
			}
			if e.Action != "die" || condition != "removed" {
				return status, nil
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
