// The names of the veth pairs' ends on the host.

package ipam

import (
	"crypto/rand"
	"fmt"
	"strings"

	"stagebox/stage08-network/rtnl"
)

// NewVeth returns a name for the host's end of a container's veth pair. It is never the same twice: the
// pair of the container's last run may be there for a few more milliseconds.
func NewVeth(id string) string {
	unique := make([]byte, 3)
	rand.Read(unique)
	return fmt.Sprintf("veth%.5s%x", id, unique)
}

// VethOf returns the container's end among the links of a bridge, which is named by its index, and
// whether there is one.
func VethOf(id string, bridge int, links []rtnl.Link) (name string, found bool) {
	for _, link := range links {
		if link.Master == bridge && strings.HasPrefix(link.Name, fmt.Sprintf("veth%.5s", id)) {
			return link.Name, true
		}
	}
	return "", false
}
