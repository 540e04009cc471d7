// A restart policy decides what follows when a container in the background ends by itself. Its
// monitor carries the policy out: it waits, longer each time, and then replaces itself with a
// monitor that has just begun (execve(2)). The lock on the container belongs to the open file and
// outlives execve, so no other box can start, change or remove the container in between.

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/attach"
	"stagebox/stage04-unionfs/restart"
	"stagebox/stage04-unionfs/state"
)

// planRestart notes in the state that the container is to be started again, if its policy, which
// may have been changed while it ran, says so and the container was not stopped.
func (r *Record) planRestart(policy restart.Policy) {
	s := &r.State
	if r.ready == nil || !policy.Wants(s.ExitCode, s.RestartCount) || r.isStopped() {
		return
	}
	s.Status, s.Delay = "restarting", restart.Delay(s.Delay, s.FinishedAt.Sub(s.StartedAt))
	s.RestartCount++
}

// restart waits for the time of the next start, and becomes the monitor of it.
func (r *Record) restart() error {
	for end := time.Now().Add(r.State.Delay); time.Now().Before(end); {
		if r.isStopped() {
			return r.endRestarts(nil)
		}
		time.Sleep(min(20*time.Millisecond, time.Until(end)))
	}
	err := attach.RestartMonitor(r.lock, monitorReady)
	return r.endRestarts(fmt.Errorf("restart of container %s: %w", r.Name, err))
}

// endRestarts leaves the container as it ended last.
func (r *Record) endRestarts(because error) error {
	r.State.Status = "exited"
	err := r.amend(func(now *Record) error {
		if now.State.Status = "exited"; because != nil {
			now.State.Error = because.Error()
		}
		return nil
	})
	return errors.Join(because, err, r.release())
}

// The file "stopped" in a container's directory means that its end was asked for. It is made
// before the signal is sent, so the monitor sees it at the latest when the process has ended.
// noteStopped makes it, and returns the record when the container is not between two runs.
func (r *Record) noteStopped() (*Record, error) {
	if r.Run.Restart == "" {
		return r, nil
	}
	file, err := os.OpenFile(r.path("stopped"), os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for err = file.Close(); err == nil; time.Sleep(2 * time.Millisecond) {
		if r, err = r.store.present(r.ID); err == nil && (r.isRunning() || !r.isLive()) {
			return r, nil
		}
	}
	return nil, err
}

func (r *Record) isStopped() bool {
	_, err := os.Lstat(r.path("stopped"))
	return err == nil
}

// forgetStopped removes that file: the user asks for a start.
func (r *Record) forgetStopped() error {
	if err := unix.Unlink(r.path("stopped")); err != unix.ENOENT {
		return about("unlink", r.path("stopped"), err)
	}
	return nil
}

// isLive reports whether the container runs, or is about to be started again.
func (r *Record) isLive() bool { return r.State.isLive() && state.Held(r.livePath()) }

// isLive reports whether a box stays with the container, if it was not killed.
func (s *State) isLive() bool { return s.Status == "running" || s.Status == "restarting" }

// abandon mends the state that a killed box has left.
func (s *State) abandon() {
	if s.Status == "restarting" {
		s.Status = "exited"
		return
	}
	s.exit(128 + int(unix.SIGKILL))
}

// endedItself reports whether an error is the exit status of a process that ran.
func endedItself(how error) bool {
	var status plan.ExitStatus
	return errors.As(how, &status)
}
