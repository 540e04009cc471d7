// The commands that connect a container to a network and disconnect it; connect.go does the work.

package main

import (
	"fmt"

	"stagebox/stage08-network/ipam"
)

type networkConnectCmd struct {
	Network string   `arg:"" help:"A network, by name."`
	Name    string   `arg:"" name:"container" help:"A container, by name, id or id prefix."`
	IP      string   `name:"ip" help:"IPv4 address of the container there; it must be free." placeholder:"IP"`
	Alias   []string `help:"Additional name of the container there." placeholder:"NAME" sep:"none"`

	Store
}

// Run is `box network connect`.
func (c *networkConnectCmd) Run() error {
	wish := ipam.Wish{Network: c.Network, Aliases: c.Alias}
	if err := wish.SetIP(c.IP); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if err := wish.CheckAliases("--alias"); err != nil {
		return err
	}
	r, err := c.Store.find(c.Name)
	if err != nil {
		return err
	}
	return r.connectTo(wish)
}

type networkDisconnectCmd struct {
	Network string `arg:"" help:"A network, by name."`
	Name    string `arg:"" name:"container" help:"A container, by name, id or id prefix."`
	Force   bool   `short:"f" help:"Succeed if the container is not on the network."`

	Store
}

// Run is `box network disconnect`.
func (c *networkDisconnectCmd) Run() error {
	r, err := c.Store.find(c.Name)
	if err == nil && !(c.Force && !r.isOn(c.Network)) {
		err = r.disconnectFrom(c.Network)
	}
	return err
}
