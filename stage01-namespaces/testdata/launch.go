// The benchmark adds this file to box, and timed.go to its package plan, with go build
// -overlay: a test binary is several times as large, and its clone takes longer for that.
package main

import (
	"fmt"
	"os"
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
	took, err := p.LaunchTimed(&c.Narration)
	return float64(took.Nanoseconds()) / 1e3, err
}
