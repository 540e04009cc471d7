// The command box port shows the published ports of a running container.

package main

import (
	"fmt"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage08-network/portmap"
)

type portCmd struct {
	Name string `arg:"" name:"container" help:"A container, by name, id or id prefix."`
	Port string `arg:"" optional:"" help:"Port of the container: 80 or 53/udp."`

	Store Store `embed:""`
}

// Run is `box port`.
func (c *portCmd) Run() error {
	r, err := c.Store.findStarted(c.Name)
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return fault.Conflict.Errorf("container %s is not running: box start %s starts it", r.Name, r.Name)
	}
	lines := portmap.Lines(r.State.Ports, c.Port)
	if c.Port != "" && lines == nil {
		return fmt.Errorf("container %s has not published its port %s: run -p does", r.Name, c.Port)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
	return nil
}
