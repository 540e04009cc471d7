// What --network, --ip and --network-alias ask for.

package ipam

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/fault"
)

// Wish is what a container wants of a network.
type Wish struct {
	Network string
	Aliases []string
	IP      netip.Addr // invalid for any

	MAC net.HardwareAddr // nil for the one that comes of the IP address
}

// asks reports whether the container wants more than to be on the network: an alias or an address.
func (w Wish) asks() bool { return len(w.Aliases) > 0 || w.IP.IsValid() || w.MAC != nil }

// parseWish reads a value of --network: the name of a network, or
// name=NAME,alias=NAME,ip=IP,mac-address=MAC.
func parseWish(text string) (w Wish, err error) {
	if !strings.Contains(text, "=") {
		return Wish{Network: text}, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "name":
			w.Network = value
		case "alias":
			w.Aliases = append(w.Aliases, value)
		case "ip":
			if err := w.SetIP(value); err != nil {
				return w, fmt.Errorf("--network %s: %w", text, err)
			}
		case "mac-address":
			if err := w.SetMAC(value); err != nil {
				return w, fmt.Errorf("--network %s: %w", text, err)
			}
		default:
			return w, fmt.Errorf("--network %s: invalid key %q; there are name, alias, ip and mac-address", text, key)
		}
	}
	if w.Network == "" {
		return w, fmt.Errorf("--network %s: name is missing", text)
	}
	return w, w.CheckAliases("--network " + text)
}

// SetIP reads the address that the container wants, "" for any.
func (w *Wish) SetIP(text string) (err error) {
	if text == "" {
		return nil
	}
	if w.IP, err = netip.ParseAddr(text); err != nil || !w.IP.Is4() {
		return fmt.Errorf("ip %s is not an IPv4 address", text)
	}
	return nil
}

// SetMAC reads the address of the container's link, "" for any. It is that of one link (the lowest bit
// of a group's is set), and not another than was set before.
func (w *Wish) SetMAC(text string) error {
	if text == "" {
		return nil
	}
	mac, err := net.ParseMAC(text)
	switch {
	case err != nil || len(mac) != 6 || mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, 6)):
		return fmt.Errorf("mac-address %s is not the address of a link, such as 02:42:0a:00:00:09", text)
	case w.MAC != nil && !bytes.Equal(w.MAC, mac):
		return fmt.Errorf("mac-address %s: the network has %s already", text, w.MAC)
	}
	w.MAC = mac
	return nil
}

// CheckAliases refuses an alias that is not a name; flag is what gave it.
func (w Wish) CheckAliases(flag string) error {
	for _, alias := range w.Aliases {
		if !IsLabel(alias) {
			return fault.Invalid.Errorf("%s %q: a name has letters, digits, and inside also _ . and -", flag, alias)
		}
	}
	return nil
}

// Names are those by which others on the network find a container: its own, which may be "", then
// the aliases and its host name. The default host name is not one, as many containers have it.
func (w Wish) Names(id, name, hostname string) (names []string) {
	if name == "" {
		return w.Aliases
	}
	names = append([]string{name}, w.Aliases...)
	if hostname != "box" && IsLabel(hostname) && !strings.HasPrefix(id, hostname) && !slices.Contains(names, hostname) {
		names = append(names, hostname)
	}
	return names
}

// String is the wish in the form that parseWish reads.
func (w Wish) String() string {
	text := "name=" + w.Network
	for _, alias := range w.Aliases {
		text += ",alias=" + alias
	}
	if w.IP.IsValid() {
		text += ",ip=" + w.IP.String()
	}
	if w.MAC != nil {
		text += ",mac-address=" + w.MAC.String()
	}
	if text == "name="+w.Network {
		return w.Network
	}
	return text
}
