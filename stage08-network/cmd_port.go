// The command box port shows the published ports of a running container.
package main

import (
	"fmt"
	"slices"
	"strings"
)

type portCmd struct {
	Name string `arg:"" name:"container" help:"A name, an id, or the beginning of one."`
	Port string `arg:"" optional:"" help:"The container's port: 80, or 53/udp."`

	Store
}

// Run is `box port`.
func (c *portCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	if !r.isRunning() {
		return fmt.Errorf("container %s does not run: box start %s starts it", r.Name, r.Name)
	}
	var lines []string
	for _, published := range r.State.Ports {
		host, port, _ := strings.Cut(published, "->")
		switch {
		case c.Port == "":
			lines = append(lines, port+" -> "+host)
		case port == c.Port || port == c.Port+"/tcp":
			lines = append(lines, host)
		}
	}
	if c.Port != "" && lines == nil {
		return fmt.Errorf("container %s has not published its port %s: run -p does", r.Name, c.Port)
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	return nil
}
