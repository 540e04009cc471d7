// Package traffic reads what has passed a process's links. It is a table of proc(5),
// and no message of netlink(7).
package traffic

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Of counts the bytes that all links but loopback have received and sent in a process's
// network namespace, unless it is ours.
func Of(pid int) (received, sent int64) {
	for _, counts := range Links(pid) {
		received, sent = received+counts["rx_bytes"], sent+counts["tx_bytes"]
	}
	return received, sent
}

// columns are those of a line of /proc/PID/net/dev (proc(5)), by their names in the Docker Engine
// API.
var columns = []string{"rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "", "", "", "",
	"tx_bytes", "tx_packets", "tx_errors", "tx_dropped"}

// Links are the counts of each link but loopback, by their names in the Docker Engine API; none of
// our own network namespace.
func Links(pid int) map[string]map[string]int64 {
	links := map[string]map[string]int64{}
	dir := fmt.Sprintf("/proc/%d/", pid)
	ours, err := os.Readlink("/proc/self/ns/net")
	theirs, errTheirs := os.Readlink(dir + "ns/net")
	data, errData := os.ReadFile(dir + "net/dev")
	if errors.Join(err, errTheirs, errData) != nil || ours == theirs {
		return links
	}
	for line := range strings.Lines(string(data)) {
		link, counts, found := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(counts)
		if !found || link == "lo" || len(fields) < len(columns) {
			continue
		}
		links[link] = map[string]int64{}
		for i, name := range columns {
			if n, err := strconv.ParseInt(fields[i], 10, 64); err == nil && name != "" {
				links[link][name] = n
			}
		}
	}
	return links
}
