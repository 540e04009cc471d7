package ipam

import (
	"fmt"
	"net/netip"
	"strings"
)

// Wish is what a container wants of a network.
type Wish struct {
	Network string
	Aliases []string
	IP      netip.Addr // invalid for any
}

// ParseWish reads a value of --network: the name of a network, or name=NAME,alias=NAME,ip=IP.
func ParseWish(text string) (w Wish, err error) {
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
		default:
			return w, fmt.Errorf("--network %s: invalid key %q; there are name, alias and ip", text, key)
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

// CheckAliases refuses an alias that is not a name; flag is what gave it.
func (w Wish) CheckAliases(flag string) error {
	for _, alias := range w.Aliases {
		if !IsLabel(alias) {
			return fmt.Errorf("%s %q: a name has letters, digits, and inside also _ . and -", flag, alias)
		}
	}
	return nil
}

// String is the wish in the form that ParseWish reads.
func (w Wish) String() string {
	text := "name=" + w.Network
	for _, alias := range w.Aliases {
		text += ",alias=" + alias
	}
	if w.IP.IsValid() {
		text += ",ip=" + w.IP.String()
	}
	if text == "name="+w.Network {
		return w.Network
	}
	return text
}
