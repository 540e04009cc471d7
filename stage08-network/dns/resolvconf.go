package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Nameservers are the servers that the text of a resolv.conf(5) names: the first three count.
func Nameservers(conf string) (list []netip.Addr) {
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(list) == 3 {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, addr)
		}
	}
	return list
}

// ParseServers reads the addresses of --dns.
func ParseServers(specs []string) (list []netip.Addr, err error) {
	for _, spec := range specs {
		server, err := netip.ParseAddr(spec)
		if err != nil {
			return nil, fmt.Errorf("--dns %s is not an IP address", spec)
		}
		list = append(list, server)
	}
	return list, nil
}

// WithNameservers is the text of a resolv.conf(5) that names other servers and keeps the search
// list and the options of conf.
func WithNameservers(conf string, servers ...netip.Addr) string {
	var text strings.Builder
	for _, server := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	for line := range strings.Lines(conf) {
		if word := strings.Fields(line); len(word) > 1 && (word[0] == "search" || word[0] == "options") {
			text.WriteString(strings.Join(word, " ") + "\n")
		}
	}
	return text.String()
}

// NamesFirst is the text of a resolv.conf(5) by which a name without a dot is asked for as it is
// before the search list is tried, unless an option says otherwise.
func NamesFirst(conf string) string {
	if strings.Contains(conf, "ndots:") {
		return conf
	}
	return conf + "options ndots:0\n"
}

// WithWords replaces the domains to search and the options of a resolv.conf, if any are given. A
// domain of "." is none.
func WithWords(conf string, search, options []string) string {
	if len(search)+len(options) == 0 {
		return conf
	}
	given := map[string][]string{"search": search, "domain": search, "options": options}
	var text strings.Builder
	for line := range strings.Lines(conf) {
		if word := strings.Fields(line); len(word) == 0 || len(given[word[0]]) == 0 {
			text.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	if len(search) > 0 && !slices.Contains(search, ".") {
		text.WriteString("search " + strings.Join(search, " ") + "\n")
	}
	if len(options) > 0 {
		text.WriteString("options " + strings.Join(options, " ") + "\n")
	}
	return text.String()
}

// CheckWords refuses values of --dns-search and --dns-option that are more than a word of a line.
func CheckWords(search, options []string) error {
	for _, domain := range search {
		if domain != "." && strings.Trim(domain, letters) != "" || domain == "" {
			return fmt.Errorf("--dns-search %s: give a domain, such as example.com, or . for none", domain)
		}
	}
	for _, option := range options {
		if len(strings.Fields(option)) != 1 || strings.TrimSpace(option) != option {
			return fmt.Errorf("--dns-option %q: give one option of resolv.conf(5), such as ndots:2", option)
		}
	}
	return nil
}

// letters are those of a domain. Programs look names up with an underscore, too.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
