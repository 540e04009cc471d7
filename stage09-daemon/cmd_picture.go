// The picture of a network shows what the kernel has at this moment: links and their masters
// (RTM_GETLINK), the elements of the rules' maps (NFT_MSG_GETSETELEM), and the names of the
// leases. The package ipam makes lines of text of it, and the package picture draws them.

package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"stagebox/stage08-network/ipam"
	"stagebox/stage08-network/picture"
)

// picture reads what a picture of a network shows.
func (dir networks) picture(n *ipam.Network) (*picture.Network, error) {
	links, err := hostLinks()
	if err != nil {
		return nil, err
	}
	elements, err := published()
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, err
	}
	way, err := n.WayOut(string(natTable), nat.Find)
	if err != nil {
		return nil, err
	}
	return dir.Picture(n, links, elements, way)
}
