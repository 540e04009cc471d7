// The command box port shows the published ports of a running container.

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type portCmd struct {
	Name string `arg:"" name:"container" help:"A container, by name, id or id prefix."`
	Port string `arg:"" optional:"" help:"Port of the container: 80 or 53/udp."`

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
	published := slices.Clone(r.State.Ports)
	slices.SortStableFunc(published, func(a, b string) int { return cmp.Compare(portNumber(a), portNumber(b)) })
	var lines []string
	for _, one := range published {
		host, port, _ := strings.Cut(one, "->")
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
	for _, line := range lines {
		fmt.Println(line)
	}
	return nil
}

// portNumber is the container's port in what is published.
func portNumber(published string) int {
	_, port, _ := strings.Cut(published, "->")
	number, _, _ := strings.Cut(port, "/")
	n, _ := strconv.Atoi(number) // box has written it
	return n
}
