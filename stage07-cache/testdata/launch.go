// The benchmark adds this file to box, with go build -overlay: a test binary is several
// times as large, and its clone takes longer for that.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// init prints how long `true` took from clone3 to execve, in microseconds, and ends box.
func init() {
	us, err := launchOnce()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(us)
	os.Exit(0)
}

func launchOnce() (float64, error) {
	c := &Container{Command: Argv{"true"}, Isolation: Isolation{Hostname: "box"}}
	p := newPlan()
	if err := namespaces(c, p); err != nil {
		return 0, err
	}
	command(c, p)
	if err := errors.Join(p.before.perform(nil), p.answer("", false).perform(nil)); err != nil {
		return 0, err
	}
	process := &Process{plan: p}
	start := time.Now()
	err := process.start(nil)
	p.cut(&p.ends[1])
	err = errors.Join(err, process.follow(&c.Narration))
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	_, err = reap(process.pid)
	return float64(took.Nanoseconds()) / 1e3, err
}
