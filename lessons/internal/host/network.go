// Stage 08: the wires (veth, bridge), the address translation, and what else on this host
// has a say about forwarded packets.
package host

import (
	"strings"

	"golang.org/x/sys/unix"
)

// link makes a check on one kind of network device.
func link(kind string) func(*Host) Finding {
	return func(h *Host) Finding {
		switch o := h.tried(kind); {
		case !o.Tried():
			return Finding{}
		case o.OK():
			return fine("", "one was made in a network namespace of its own")
		case o.Errno == unix.EPERM || o.Errno == unix.EACCES:
			why, mend := h.forbidden(o)
			return missing(kind+": "+why, mend)
		default:
			return missing(o.String()+": the kernel has no "+kind, h.module(kind))
		}
	}
}

func nfTables(h *Host) Finding {
	switch o := h.tried("nftables"); {
	case !o.Tried():
		return Finding{}
	case o.OK():
		return fine("", "a masquerade rule was made in a network namespace of its own")
	case o.Errno == unix.EPERM || o.Errno == unix.EACCES:
		why, mend := h.forbidden(o)
		return missing("nf_tables: "+why, mend)
	default:
		return missing(o.String()+": without address translation, no packet comes back to a container", h.module("-a nft_masq nft_chain_nat"))
	}
}

// forwarding that is off is not a fault: box switches it on where it may. An ordinary user's
// packets leave by a program, and need none.
func forwarding(h *Host) Finding {
	const file = "/proc/sys/net/ipv4/ip_forward"
	switch {
	case h.UID != 0:
		return Finding{}
	case h.read(file) == "1":
		return fine("", "net.ipv4.ip_forward is 1")
	case h.Writes(file) == nil:
		return fine("", "net.ipv4.ip_forward is 0 and may be set")
	case h.container() != "":
		return limited("net.ipv4.ip_forward is 0 and may not be set from here: containers reach each other and nothing else", "start this container with: docker run --sysctl net.ipv4.ip_forward=1 …")
	}
	return limited("net.ipv4.ip_forward is 0 and may not be set from here: containers reach each other and nothing else", h.set("net.ipv4.ip_forward", "1"))
}

func ipv6(h *Host) Finding {
	if !h.exists("/proc/net/if_inet6") || h.sysctl("net.ipv6.conf.all.disable_ipv6") == "1" {
		return fine("IPv4 only", "none on this host: containers get IPv4 alone")
	}
	return fine("", "containers get IPv6 too")
}

// firewall reports who else drops what a container sends. Root reads the rules themselves;
// ufw's settings any user may.
func firewall(h *Host) Finding {
	const told = "a container's packets are dropped on their way out"
	switch drops := strings.Join(h.Drops, ", "); {
	case h.UID != 0:
		return Finding{}
	case h.ufwDrops():
		return limited("ufw drops what is forwarded: "+told, "ufw route allow in on box0   # the name of the bridge", "ufw route allow out on box0")
	case h.exists("/run/firewalld.pid") || h.exists("/run/firewalld"):
		return limited("firewalld rejects what it does not know: "+told, "firewall-cmd --permanent --zone=trusted --add-interface=box0; firewall-cmd --reload   # the name of the bridge")
	case strings.Contains(drops, "filter FORWARD") && h.exists("/sys/class/net/docker0"):
		return limited("Docker has chain "+drops+" drop what is forwarded: "+told, "iptables -I DOCKER-USER -i box0 -j ACCEPT   # the name of the bridge",
			"iptables -I DOCKER-USER -o box0 -j ACCEPT")
	case drops != "":
		return limited("chain "+drops+" drops what is forwarded: "+told, "nft list ruleset   # and accept the bridge there")
	}
	return fine("no firewall in the way", "no chain drops what is forwarded, as far as nf_tables tells")
}

func (h *Host) ufwDrops() bool {
	return setting(h.lines("/etc/ufw/ufw.conf"), "ENABLED") == "yes" &&
		setting(h.lines("/etc/default/ufw"), "DEFAULT_FORWARD_POLICY") != "ACCEPT"
}

// userNetwork looks for the programs that carry an ordinary user's packets.
func userNetwork(h *Host) Finding {
	for _, name := range []string{"pasta", "slirp4netns"} {
		if h.program(name) == "" {
			continue
		}
		if !h.exists("/dev/net/tun") {
			return limited(name+" needs /dev/net/tun, which is not there: an ordinary user's containers have no way out", h.module("tun"))
		}
		return fine(name, h.program(name)+" carries an ordinary user's packets")
	}
	return limited("neither pasta nor slirp4netns is installed: an ordinary user's containers have no way out", h.install("pasta"))
}
