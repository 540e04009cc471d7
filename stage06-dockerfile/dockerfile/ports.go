package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParsePorts parses a word of EXPOSE, PORT or FROM-TO with /tcp, /udp or /sctp, and returns
// PORT/PROTOCOL for each port. A port of the host before it, as in run -p, is ignored.
func ParsePorts(text string) ([]string, error) {
	ports, protocol, _ := strings.Cut(text[strings.LastIndexByte(text, ':')+1:], "/")
	protocol = cmp.Or(strings.ToLower(protocol), "tcp")
	from, to, ranged := strings.Cut(ports, "-")
	if !ranged {
		to = from
	}
	low, errLow := strconv.ParseUint(from, 10, 16)
	high, errHigh := strconv.ParseUint(to, 10, 16)
	if errLow != nil || errHigh != nil || low > high ||
		!slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return nil, fmt.Errorf("%s: give a port from 1 to 65535 or two with a dash between,"+
			" and tcp, udp or sctp after a slash", text)
	}
	var list []string
	for port := low; port <= high; port++ {
		list = append(list, fmt.Sprintf("%d/%s", port, protocol))
	}
	return list, nil
}
