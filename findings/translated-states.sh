#!/bin/sh
# iptables-translate 1.8.9 (Debian 1.8.9-2): in the nft rule that it prints for "-m conntrack --ctstate",
# DNAT and SNAT push the other states out, and the "!" in front of them is lost. "--ctstate DNAT,NEW" is
# a rule for packets that a port mapping has redirected or that begin a connection; firewalls in front of
# containers have such rules.
#
# iptables-extensions(8), "conntrack": --ctstate is a comma-separated list of states, of which any is to
# match, and DNAT and SNAT are among them, as virtual states. iptables-translate(8) names no rule
# whose translation differs; what it cannot translate, it says.
#
# Seen for a packet that begins a connection and is not redirected, by the counter of the rule that
# iptables-nft makes, and by that of the translation:
#   --ctstate NEW        1 and 1
#   --ctstate DNAT,NEW   1 and 0: it is translated to "ct status dnat" alone
#   ! --ctstate DNAT     1 and 0: the same
#   ! --ctstate NEW      0 and 0
# For "--ctstatus EXPECTED,CONFIRMED", the other match of several words, the translation has both.
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
cat > chain <<'NFT'
add table ip filter
add chain ip filter OUTPUT { type filter hook output priority 0; }
NFT
cat > look <<'BASH'
set -eu
ip link set lo up
translated() { iptables-translate $1 | sed "s/^nft '\(.*\)'$/\1/"; }
for match in "--ctstate NEW" "--ctstate DNAT,NEW" "! --ctstate DNAT" "! --ctstate NEW"; do
	rule="-A OUTPUT -p udp --dport 9 -m conntrack $match"
	echo "$match"
	for by in iptables-nft iptables-translate; do
		nft flush ruleset
		if [ $by = iptables-nft ]; then
			iptables-nft $rule
		else
			nft -f chain
			nft "$(translated "$rule")"
		fi
		echo >/dev/udp/127.0.0.1/9
		echo "  $by: $(nft list chain ip filter OUTPUT 2>log | grep -o 'packets [0-9]*')"
	done
done
translated "-A OUTPUT -m conntrack --ctstatus EXPECTED,CONFIRMED" | grep -o 'ct .*d'
BASH
lib="$dir/root/usr/lib/$(uname -m)-linux-gnu"
LD_LIBRARY_PATH="$lib" XTABLES_LIBDIR="$lib/xtables" PATH="$dir/root/usr/sbin:$PATH" \
	unshare -n bash look >seen
cat seen
cat > expected <<'TEXT'
--ctstate NEW
  iptables-nft: packets 1
  iptables-translate: packets 1
--ctstate DNAT,NEW
  iptables-nft: packets 1
  iptables-translate: packets 0
! --ctstate DNAT
  iptables-nft: packets 1
  iptables-translate: packets 0
! --ctstate NEW
  iptables-nft: packets 0
  iptables-translate: packets 0
ct status expected,confirmed
TEXT
diff expected seen
