package portmap

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Lines returns what docker port prints of published ports, each as Published has it: of all, by the
// container's port, "80/tcp -> 0.0.0.0:8080"; or of one, such as 80 or 53/udp, the host's side alone.
func Lines(published []string, port string) (lines []string) {
	sorted := slices.Clone(published)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	for _, one := range sorted {
		host, own, _ := strings.Cut(one, "->")
		switch {
		case port == "":
			lines = append(lines, own+" -> "+host)
		case own == port || own == port+"/tcp":
			lines = append(lines, host)
		}
	}
	return lines
}

// number is the container's port in what is published.
func number(published string) int {
	_, port, _ := strings.Cut(published, "->")
	text, _, _ := strings.Cut(port, "/")
	n, _ := strconv.Atoi(text) // box has written it
	return n
}
