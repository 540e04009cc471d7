// Package forwarding knows what on a host decides whether it forwards packets, apart from the
// rules of our own: settings in /proc/sys, which it compares, remembers and restores, and the
// firewalls of other programs, for which it has advice. The caller makes the settings.
package forwarding

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/state"
)

// Setting is a file of /proc/sys and the value that it has to hold, without a newline.
type Setting struct{ Path, Value, Why string }

// IsSet reports whether the host has the value already.
func (s Setting) IsSet() bool {
	now, err := os.ReadFile(s.Path)
	return err == nil && string(now) == s.Value+"\n"
}

// Missing returns what forwarding needs, of IPv4 and with v6 of IPv6 too, and the host does not have
// yet. learning returns the links whose IPv6 routes come from a router: a host that is a router itself
// goes on accepting those only with that setting.
func Missing(v6 bool, learning func() (links []string, err error)) (list []Setting, err error) {
	v4 := Setting{Path: "/proc/sys/net/ipv4/ip_forward", Value: "1",
		Why: "the host passes packets on, as a router"}
	if !v4.IsSet() {
		list = append(list, v4)
	}
	all := Setting{Path: "/proc/sys/net/ipv6/conf/all/forwarding", Value: "1",
		Why: "IPv6 packets too"}
	if !v6 || all.IsSet() {
		return list, nil
	}
	links, err := learning()
	for _, link := range links {
		list = append(list, Setting{Path: "/proc/sys/net/ipv6/conf/" + link + "/accept_ra", Value: "2",
			Why: "and goes on learning its own routes"})
	}
	return append(list, all), err
}

// Remember adds the values that settings have now to a file, for Restore. The caller holds a
// lock on the file.
func Remember(file string, list []Setting) error {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, s := range list {
		old, err := os.ReadFile(s.Path)
		if err != nil {
			return err
		}
		data = fmt.Appendf(data, "%s %s", s.Path, old)
	}
	return state.Write(file, data, 0o644, state.Durable)
}

// Restore gives the settings of a file their old values, and removes the file. If another program
// relies on them, as relied reports, they stay as they are. A damaged file says nothing of the old
// values: it is removed with a warning.
func Restore(file string, relied func() (bool, error), warn func(error)) error {
	old, err := remembered(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		warn(err)
		return os.RemoveAll(file)
	}
	stay, err := relied()
	if err != nil {
		return err
	}
	for _, s := range old {
		if stay {
			break
		}
		err := os.WriteFile(s.Path, []byte(s.Value), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Remove(file)
}

// remembered returns the settings of a file with their old values, in the order in which they
// are to be restored: the last first. Paths outside /proc/sys/net are left out.
func remembered(file string) (list []Setting, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range slices.Backward(lines) {
		path, value, _ := strings.Cut(line, " ")
		if strings.HasPrefix(path, "/proc/sys/net/") && !strings.Contains(path, "..") {
			list = append(list, Setting{Path: path, Value: value})
		}
	}
	return list, nil
}
