// A network as a picture, drawn from what the kernel tells at the moment: links and their
// masters (RTM_GETLINK), the rules' maps (NFT_MSG_GETSETELEM), and the leases for names.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// picture is what is drawn.
type picture struct {
	network *network
	up      bool // the bridge is there
	way     string
	boxes   []pictureBox
}

// pictureBox is a container with its cable and the ports that lead to it.
type pictureBox struct {
	name, link  string
	addr, addr6 netip.Addr
	ports       []string
}

// look reads everything that a picture shows.
func (dir networks) look(n *network) (*picture, error) {
	links, err := hostLinks()
	if err != nil {
		return nil, err
	}
	leases, _, err := dir.leases(n, true)
	if err != nil {
		return nil, err
	}
	elements, err := published()
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, err
	}
	p := &picture{network: n}
	var bridge linkInfo
	if i := slices.IndexFunc(links, func(l linkInfo) bool { return l.Name == n.Bridge }); i >= 0 {
		bridge, p.up = links[i], true
	}
	if p.way, err = wayOut(n); err != nil {
		return nil, err
	}
	for _, l := range leases {
		box := pictureBox{name: l.label(), addr: l.addr, addr6: l.addr6, link: "no cable"}
		for _, link := range links {
			if p.up && link.Master == bridge.Index && strings.HasPrefix(link.Name, fmt.Sprintf("veth%.5s", l.id)) {
				box.link = link.Name
			}
		}
		for _, e := range elements {
			if text := e.picture(); e.comment == l.id && text != "" {
				box.ports = append(box.ports, text)
			}
		}
		p.boxes = append(p.boxes, box)
	}
	return p, nil
}

// wayOut says how packets leave the host.
func wayOut(n *network) (string, error) {
	if n.Internal {
		return "internal: no way out", nil
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return "", err
	}
	there, err := hasTable()
	switch {
	case err != nil:
		return "", err
	case string(forward) != "1\n":
		return "ip_forward is 0: no way out", nil
	case !there:
		return "no table " + natTable + ": no way out", nil
	}
	return fmt.Sprintf("masquerade: from %s to outside, as the host", n.Subnet), nil
}

// picture is an element of a port map as text. The families say the same: IPv4 is shown.
func (e natElement) picture() string {
	on, key := "*", e.key
	if e.set == "on4" && len(key) == 12 || e.set == "on6" && len(key) == 24 {
		addr, _ := netip.AddrFromSlice(key[:len(key)-8])
		on, key = addr.String(), key[len(key)-8:]
	}
	if e.set == "any6" || len(key) != 8 || len(e.data) < 8 {
		return ""
	}
	proto := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}[key[0]]
	return fmt.Sprintf("%s %s:%d -> %d", proto, on, binary.BigEndian.Uint16(key[4:]), binary.BigEndian.Uint16(e.data[len(e.data)-4:]))
}

// lines are the picture's parts: the world, the host, and each container.
func (p *picture) lines() (host []string, boxes [][]string) {
	host = []string{"network " + p.network.Name, "bridge " + p.network.Bridge + "  " + netip.PrefixFrom(p.network.Gateway, p.network.Subnet.Bits()).String()}
	if p.network.Gateway6.IsValid() {
		host = append(host, netip.PrefixFrom(p.network.Gateway6, p.network.Subnet6.Bits()).String())
	}
	if host = append(host, p.way); !p.up {
		host = append(host, "the bridge is made with the first container")
	}
	for _, b := range p.boxes {
		lines := []string{b.name, "eth0 " + b.addr.String()}
		if b.addr6.IsValid() {
			lines = append(lines, b.addr6.String())
		}
		boxes = append(boxes, append(lines, b.ports...))
	}
	return host, boxes
}

// text draws with characters, the host on top and a container below at each cable.
func (p *picture) text() string {
	host, boxes := p.lines()
	var b strings.Builder
	frame := func(indent string, lines []string) {
		width := 0
		for _, line := range lines {
			width = max(width, len([]rune(line)))
		}
		fmt.Fprintf(&b, "%s┌─%s─┐\n", indent, strings.Repeat("─", width))
		for _, line := range lines {
			fmt.Fprintf(&b, "%s│ %-*s │\n", indent, width, line)
		}
		fmt.Fprintf(&b, "%s└─%s─┘\n", indent, strings.Repeat("─", width))
	}
	frame("", append([]string{"host's network namespace"}, host...))
	for i, box := range boxes {
		fmt.Fprintf(&b, "  │\n  ├── %s\n", p.boxes[i].link)
		frame("  │   ", box)
	}
	return b.String()
}

// svg draws the same as boxes side by side.
func (p *picture) svg() string {
	const line, width, gap = 18, 290, 30
	host, boxes := p.lines()
	var b strings.Builder
	frame := func(x, y, w int, fill string, lines []string) {
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\" stroke=\"#345\"/>\n", x, y, w, line*len(lines)+14, fill)
		for i, text := range lines {
			fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", x+10, y+line*(i+1)+2, html.EscapeString(text))
		}
	}
	total, tallest := max(1, len(boxes))*(width+gap)+gap, 0
	for _, box := range boxes {
		tallest = max(tallest, len(box))
	}
	host = append([]string{"host's network namespace"}, host...)
	bottom := gap + line*len(host) + 14
	height := bottom + 4*line + line*tallest + 14 + gap
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"monospace\" font-size=\"12\">\n", total, height)
	frame(gap, gap, total-2*gap, "#eef4fb", host)
	for i, box := range boxes {
		x := gap + i*(width+gap)
		fmt.Fprintf(&b, "<line x1=\"%d\" y1=\"%d\" x2=\"%[1]d\" y2=\"%[3]d\" stroke=\"#345\" stroke-width=\"2\"/>\n", x+width/2, bottom, bottom+4*line)
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", x+width/2+8, bottom+2*line, html.EscapeString(p.boxes[i].link))
		frame(x, bottom+4*line, width, "#fdf6e3", box)
	}
	return b.String() + "</svg>\n"
}
