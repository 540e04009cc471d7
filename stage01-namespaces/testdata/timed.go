// The benchmark adds this file to the package plan, with go build -overlay.
package plan

import (
	"errors"
	"time"
)

// LaunchTimed returns how long the process took from clone3 to execve.
func (p *Plan) LaunchTimed(n *Narration) (time.Duration, error) {
	if err := errors.Join(p.before.Perform(nil), p.answer("", p.firstSync()).Perform(nil)); err != nil {
		return 0, err
	}
	process := &Process{plan: p, listening: make(chan struct{}), pidKnown: make(chan struct{})}
	close(process.listening)
	start := time.Now()
	err := process.start(n)
	p.closeEnd(&p.ends[1])
	err = errors.Join(err, process.follow(n))
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	_, err = reap(process.PID)
	return took, err
}
