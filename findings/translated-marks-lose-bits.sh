#!/bin/sh
# iptables-translate 1.8.9 (Debian 1.8.9-2): the nft rule that it prints for a CONNMARK rule with
# a mask writes all bits of a mark. CNI plugins of one cluster share a packet's mark, each its
# bits, and copy them to and from the connection with such rules.
#
# iptables-extensions(8), "CONNMARK": if a mask is specified, only those bits are copied, and
# "--set-mark value[/mask]" modifies only the bits set in the mask.
#
# Seen for a packet marked 0x4002 of a connection marked 0x8008, first with the rule that
# iptables-nft makes, then with the translation:
#   --save-mark --mask 0xff     the connection has 0x8002, then 0x0002
#   --restore-mark --mask 0xff  the packet has 0x4008, then 0x0008
#   --set-mark 0x1/0x3          the connection has 0x8009, then 0x8008: the bit is not set at all
# For the target MARK, "--set-mark 0x1/0x3" is right both times.
#
# Exits with 0 while that is so. Needs root, Debian 12, bash and ip. The rules are made in a network
# namespace that ends with the script.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download iptables=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 libxtables12=1.8.9-2 \
	libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 nftables=1.0.6-2+deb12u2 \
	libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 libjansson4=2.14-2 >/dev/null 2>&1
for package in *.deb; do
	dpkg-deb -x "$package" root
done
# Marks are set before the rule, and what they are after it is noted in two sets.
cat > around <<'NFT'
flush ruleset
table ip before {
	chain output {
		type filter hook output priority -160
		meta mark set 0x4002
		ct mark set 0x8008
	}
}
table ip after {
	set packet { type mark; size 9; flags dynamic; }
	set connection { type mark; size 9; flags dynamic; }
	chain output {
		type filter hook output priority -140
		udp dport 9 update @packet { meta mark }
		udp dport 9 update @connection { ct mark }
	}
}
NFT
cat > chain <<'NFT'
add table ip mangle
add chain ip mangle OUTPUT { type filter hook output priority -150; }
NFT
cat > look <<'BASH'
set -eu
ip link set lo up
mark() { nft list set ip after $1 | grep -o '0x[0-9a-f]*'; }
for target in "CONNMARK --save-mark --mask 0xff" "CONNMARK --restore-mark --mask 0xff" \
	"CONNMARK --set-mark 0x1/0x3" "MARK --set-mark 0x1/0x3"; do
	rule="-t mangle -A OUTPUT -j $target"
	echo "$target"
	for by in iptables-nft iptables-translate; do
		nft -f around
		if [ $by = iptables-nft ]; then
			iptables-nft $rule
		else
			nft -f chain
			nft "$(iptables-translate $rule | sed "s/^nft '\(.*\)'$/\1/")"
		fi
		echo >/dev/udp/127.0.0.1/9
		echo "  $by: packet $(mark packet) connection $(mark connection)"
	done
done
BASH
lib="$dir/root/usr/lib/$(uname -m)-linux-gnu"
LD_LIBRARY_PATH="$lib" XTABLES_LIBDIR="$lib/xtables" PATH="$dir/root/usr/sbin:$PATH" \
	unshare -n bash look >seen
cat seen
cat > expected <<'TEXT'
CONNMARK --save-mark --mask 0xff
  iptables-nft: packet 0x00004002 connection 0x00008002
  iptables-translate: packet 0x00004002 connection 0x00000002
CONNMARK --restore-mark --mask 0xff
  iptables-nft: packet 0x00004008 connection 0x00008008
  iptables-translate: packet 0x00000008 connection 0x00008008
CONNMARK --set-mark 0x1/0x3
  iptables-nft: packet 0x00004002 connection 0x00008009
  iptables-translate: packet 0x00004002 connection 0x00008008
MARK --set-mark 0x1/0x3
  iptables-nft: packet 0x00004001 connection 0x00008008
  iptables-translate: packet 0x00004001 connection 0x00008008
TEXT
diff expected seen
