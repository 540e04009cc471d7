package ipam

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stagebox/stage04-unionfs/fault"
)

// Default is the name of the network that is made when it is first needed.
const Default = "bridge"

// Names are the values of --network.
type Names []string

// UnmarshalJSONFrom also takes a single name: that of a record from before there could be several.
// (kong would call UnmarshalJSON for the flag.)
func (n *Names) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	if from.PeekKind() != '"' {
		return json.UnmarshalDecode(from, (*[]string)(n))
	}
	var one string
	err := json.UnmarshalDecode(from, &one)
	*n = slices.DeleteFunc(Names{one}, func(name string) bool { return name == "" })
	return err
}

// Wishes are the networks that --network names; without one it is a wish for none by name. The values
// of --ip, --mac-address and --network-alias, which are about one network, are about the first.
func (n Names) Wishes(ip, mac string, aliases []string) (list []Wish, err error) {
	for _, text := range n {
		wish, err := parseWish(text)
		if err != nil {
			return nil, err
		}
		list = append(list, wish)
	}
	if len(list) == 0 {
		list = []Wish{{}}
	}
	first := &list[0]
	if err := first.SetIP(ip); err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	if err := first.SetMAC(mac); err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	first.Aliases = append(first.Aliases, aliases...)
	return list, first.CheckAliases("--network-alias")
}

// Mode returns the kind of network that a container is to have by its first wish: none, host,
// container (and of which), default for an ordinary user's own, or the name of one with a bridge. It
// depends on whether the flags share the host's network, and whether they publish a port.
func (w Wish) Mode(sharesHost, publishes bool) (mode, other string, err error) {
	mode, other, found := strings.Cut(w.Network, ":")
	switch {
	case sharesHost && mode != "" && mode != "host" && mode != "default":
		err = fmt.Errorf("--network %s and --share net exclude one another", w.Network)
	case sharesHost:
		return "host", "", nil
	case (mode == "container") != found || found && other == "":
		err = fmt.Errorf("--network %s: give bridge, none, host, container:NAME,"+
			" or the name of a network", w.Network)
	case mode == "" && !publishes && !w.asks():
		mode = "none"
	case (mode == "" || mode == "default") && os.Geteuid() == 0:
		mode = Default
	case mode == "":
		mode = "default"
	}
	return mode, other, err
}

// HasBridge reports whether a mode is the name of a network that has a bridge.
func HasBridge(mode string) bool {
	return !slices.Contains([]string{"none", "host", "container", "default"}, mode)
}

// CheckMode refuses what a mode cannot have: a bridge for an ordinary user, a number of published
// ports, or what is asked of one network or a second one.
func CheckMode(mode string, ports int, list []Wish) error {
	flag, bridged := "--network "+list[0].Network, HasBridge(mode)
	if mode == "host" && list[0].Network != "host" {
		flag = "--share net"
	}
	switch {
	case bridged && os.Geteuid() != 0:
		return fault.Forbidden.Errorf("--network %s: only root may make a bridge; leave --network out for a network"+
			" of your own, through pasta or slirp4netns", list[0].Network)
	case ports > 0 && !bridged && mode != "default":
		return fmt.Errorf("--publish with %s: there is no network of its own to publish from", flag)
	case !bridged && list[0].asks():
		return errors.New("--ip, --mac-address and --network-alias need a network that box has made: box network create")
	}
	for _, more := range list[1:] {
		if !bridged || !HasBridge(more.Network) {
			return fmt.Errorf("--network %s: a container on %s has no second network", more.Network, mode)
		}
	}
	return nil
}
