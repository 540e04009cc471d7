// Networks as network ls, network inspect and the Docker Engine API show them.

package ipam

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/state"
)

// DescribeNamed returns a network in the shape of the API, nil if there is none of that name.
func (d Dir) DescribeNamed(name string) (*api.Network, error) {
	if !IsLabel(name) {
		return nil, nil
	}
	n, err := d.Find(name)
	if errors.Is(err, ErrNoNetwork) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.Describe(n)
}

// Describe returns a network in the shape of the Docker Engine API, with the containers on it.
func (d Dir) Describe(n *Network) (*api.Network, error) {
	live, _, err := d.Leases(n)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(d.File(n.Name + ".json"))
	if err != nil {
		return nil, err
	}
	a := &api.Network{Name: n.Name, ID: d.ID(n.Name), Created: api.Time(info.ModTime()), Scope: "local", Driver: "bridge", EnableIPv6: n.Subnet6.IsValid(),
		IPAM: api.IPAM{Driver: "default", Config: []api.Pool{{Subnet: n.Subnet.String(), Gateway: n.Gateway.String()}}}, Internal: n.Internal,
		Containers: map[string]api.Member{}, Labels: map[string]string{},
		Options: map[string]string{"com.docker.network.bridge.name": n.Bridge, "com.docker.network.driver.mtu": strconv.Itoa(int(n.MTU))}}
	if n.Labels != nil {
		a.Labels = n.Labels
	}
	if n.Range.IsValid() {
		a.IPAM.Config[0].IPRange = n.Range.String()
	}
	if n.Subnet6.IsValid() {
		a.IPAM.Config = append(a.IPAM.Config, api.Pool{Subnet: n.Subnet6.String(), Gateway: n.Gateway6.String()})
	}
	for _, l := range live {
		e := d.Endpoint(n, l)
		a.Containers[l.ID] = api.Member{Name: l.Label(), EndpointID: e.EndpointID, MacAddress: e.MacAddress,
			IPv4Address: prefix(l.Addr, n.Subnet), IPv6Address: prefix(l.Addr6, n.Subnet6)}
	}
	return a, nil
}

// once leaves out the repetitions of names: an alias may be the container's own name.
func once(names []string) (list []string) {
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// Endpoint returns a container on a network in the shape of the API.
func (d Dir) Endpoint(n *Network, l Lease) *api.Endpoint {
	id := d.ID(n.Name)
	e := &api.Endpoint{NetworkID: id, EndpointID: apiID(id, l.ID), MacAddress: l.HardwareAddr().String(), Gateway: n.Gateway.String(),
		IPAddress: l.Addr.String(), IPPrefixLen: n.Subnet.Bits(), DNSNames: once(append(slices.Clone(l.Names), l.ID[:min(12, len(l.ID))]))}
	if l.Addr6.IsValid() {
		e.GlobalIPv6Address, e.GlobalIPv6PrefixLen, e.IPv6Gateway = l.Addr6.String(), n.Subnet6.Bits(), n.Gateway6.String()
	}
	return e
}

// EndpointOf returns a container on a network, nil if it is not there or there is no such network.
func (d Dir) EndpointOf(name, id string) (*api.Endpoint, error) {
	n, err := d.Find(name)
	if errors.Is(err, ErrNoNetwork) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	live, _, err := d.Leases(n)
	i := slices.IndexFunc(live, func(l Lease) bool { return l.ID == id })
	if err != nil || i < 0 {
		return nil, err
	}
	return d.Endpoint(n, live[i]), nil
}

// WayOut says in a picture how packets of a network leave the host. find finds the table with the
// rules, and whether it is whole.
func (n *Network) WayOut(table string, find func() (there, whole bool, err error)) (string, error) {
	if n.Internal {
		return "internal: no way out", nil
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return "", err
	}
	there, whole, err := find()
	switch {
	case err != nil:
		return "", err
	case string(forward) != "1\n":
		return "ip_forward is 0: no way out", nil
	case !there:
		return "no table " + table + ": no way out", nil
	case !whole:
		return "table " + table + " lacks rules: no way out", nil
	}
	return fmt.Sprintf("masquerade: from %s to outside, as the host", n.Subnet), nil
}

// Lines says in a picture what a network is: its bridge, its addresses, and the way out.
func (n *Network) Lines(way string, isUp bool) []string {
	lines := []string{"network " + n.Name, "bridge " + n.Bridge + "  " + prefix(n.Gateway, n.Subnet)}
	if n.Gateway6.IsValid() {
		lines = append(lines, prefix(n.Gateway6, n.Subnet6))
	}
	if lines = append(lines, way); !isUp {
		lines = append(lines, "the bridge is made with the first container")
	}
	return lines
}

// Lines says in a picture which container has a lease, and its addresses.
func (l Lease) Lines() []string {
	lines := []string{l.Label(), "eth0 " + l.Addr.String()}
	if l.Addr6.IsValid() {
		lines = append(lines, l.Addr6.String())
	}
	return lines
}

// ID is the id of a network of this directory, also of one that is gone.
func (d Dir) ID(name string) string { return apiID(d.Path, name) }

// apiID is an id of the form that the API has, made of what identifies a thing here.
func apiID(words ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(words, " "))))
}

// prefix is an address with the length of its network's prefix.
func prefix(addr netip.Addr, network netip.Prefix) string {
	if !addr.IsValid() {
		return ""
	}
	return netip.PrefixFrom(addr, network.Bits()).String()
}

// HardwareAddr is the address of the container's link.
func (l Lease) HardwareAddr() net.HardwareAddr {
	if l.MAC != nil {
		return l.MAC
	}
	return HardwareAddr(l.Addr)
}

// HardwareAddr returns the MAC address that belongs to an IPv4 address: two bytes of box's own,
// then the address.
func HardwareAddr(addr netip.Addr) net.HardwareAddr {
	return append(net.HardwareAddr{0x02, 0x42}, addr.AsSlice()...)
}

// Write prints the networks: a table with a line for each, or their names alone.
func (d Dir) Write(out io.Writer, namesOnly bool) error {
	all, err := d.List()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if !namesOnly {
		fmt.Fprintln(table, "NAME\tBRIDGE\tSUBNET\tIPV6\tCONTAINERS\t")
	}
	for _, n := range all {
		if namesOnly {
			fmt.Fprintln(table, n.Name)
			continue
		}
		list, _, err := d.Leases(n)
		if err != nil {
			return err
		}
		subnet6, internal := "-", ""
		if n.Subnet6.IsValid() {
			subnet6 = n.Subnet6.String()
		}
		if n.Internal {
			internal = "internal"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", n.Name, n.Bridge, n.Subnet, subnet6, len(list), internal)
	}
	return table.Flush()
}

// PrintOnce prints notes for the user, each once in the life of the networks.
func (d Dir) PrintOnce(out io.Writer, notes ...string) (err error) {
	for _, note := range notes {
		err = errors.Join(err, d.printOnce(out, note))
	}
	return err
}

func (d Dir) printOnce(out io.Writer, note string) error {
	return d.Locked(func() error {
		told, err := os.ReadFile(d.File("told"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if strings.Contains(string(told), note+"\n") {
			return nil
		}
		fmt.Fprintln(out, "box:", note)
		return state.Write(d.File("told"), fmt.Append(told, note, "\n"), 0o644, state.Durable)
	})
}
