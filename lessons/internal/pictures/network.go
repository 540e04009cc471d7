package pictures

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/api"
)

// networkScript starts two containers in a network namespace of its own, and asks for the
// network twice: as JSON, and as box draws it, which has the ports and the way out.
const networkScript = `trap 'box rm -f web db >/dev/null; box network rm bridge >/dev/null' EXIT
box run -d --name web -p 8080:80 tiny sleep 500 >/dev/null
box run -d --name db tiny sleep 500 >/dev/null
box network inspect bridge
echo ---
box network inspect --picture bridge`

// wires is what is drawn: the network, and the container whose port is published.
type wires struct {
	subnet, gateway string
	containers      []api.Member // web, whose port is published, first
	port            string       // such as "port 8080 → 10.201.0.2:80"
}

// drawNetwork draws the way of a packet from a container to the world, and back in by a port.
func drawNetwork(b *box) (*drawing, error) {
	out, err := b.run(unix.CLONE_NEWNET, networkScript)
	if err != nil {
		return nil, err
	}
	w, err := wiring(out)
	if err != nil {
		return nil, err
	}
	d := newDrawing("The way out, and the way in",
		"Below, two containers with an interface eth0 each. A cable leads from each to a bridge in the host's network namespace. Above the bridge, the host gives what goes out its own address, and hands what comes in for port 8080 on to port 80 of web. On top, the world.")
	d.host(w)
	for i := range w.containers {
		d.container(w, i)
	}
	d.text(margin, 572, "soft", "A dashed frame is a network namespace.")
	return d, nil
}

var publishedPort = regexp.MustCompile(`tcp \*:(\d+) -> (\d+)`)

// wiring reads what the script has printed.
func wiring(out string) (wires, error) {
	var w wires
	var list []api.Network
	inspected, drawn, _ := strings.Cut(out, "---\n")
	if err := json.Unmarshal([]byte(inspected), &list); err != nil || len(list) != 1 || len(list[0].IPAM.Config) == 0 {
		return w, fmt.Errorf("box network inspect is expected to print one network (%v):\n%s", err, out)
	}
	w.subnet, w.gateway = list[0].IPAM.Config[0].Subnet, list[0].IPAM.Config[0].Gateway
	for _, c := range list[0].Containers {
		c.IPv4Address, _, _ = strings.Cut(c.IPv4Address, "/")
		w.containers = append(w.containers, c)
	}
	slices.SortFunc(w.containers, func(a, b api.Member) int { return cmp.Compare(b.Name, a.Name) })
	port := publishedPort.FindStringSubmatch(drawn)
	if len(w.containers) != 2 || port == nil || !strings.Contains(drawn, "masquerade: from "+w.subnet) || strings.Contains(drawn, "no link") {
		return w, fmt.Errorf("two containers on cables, a port and a way out are expected:\n%s", out)
	}
	w.port = fmt.Sprintf("port %s → %s:%s", port[1], w.containers[0].IPv4Address, port[2])
	return w, nil
}

// host draws the world, and below it the host's namespace with its rules and the bridge.
func (d *drawing) host(w wires) {
	d.rect(92, 60, 296, 40, "")
	d.text(240, 85, "mid", "the world")
	d.rect(margin, 146, 440, 252, "dash")
	d.text(margin+12, 171, "bold", "the host")
	d.rect(44, 188, 184, 96, "amber")
	d.text(56, 211, "bold amber", "out: masquerade")
	d.paragraph(56, 235, "soft", w.subnet+" becomes the host's address", 20)
	d.rect(252, 188, 184, 96, "green")
	d.text(264, 211, "bold green", "in: DNAT")
	d.paragraph(264, 235, "soft", w.port, 20)
	d.arrow("amber", 136, 188, 136, 106)
	d.arrow("green", 344, 100, 344, 182)
	d.rect(44, 330, 392, 46, "blue")
	d.text(56, 358, "bold blue", "bridge")
	d.text(424, 358, "end mono", w.gateway)
	d.arrow("amber", 136, 330, 136, 290)
	d.arrow("green", 344, 284, 344, 324)
}

// container draws one with its cable to the bridge.
func (d *drawing) container(w wires, i int) {
	x := []int{margin, 250}[i]
	c := w.containers[i]
	d.line("blue", x+105, 376, x+105, 450)
	d.text(x+115, 428, "soft", "veth pair")
	d.rect(x, 450, 210, 94, "dash")
	d.text(x+12, 534, "bold", c.Name)
	d.rect(x+30, 450, 150, 52, "blue")
	d.text(x+105, 471, "mid mono", "eth0")
	d.text(x+105, 492, "mid mono", c.IPv4Address)
}
