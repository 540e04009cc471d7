#!/bin/sh
# nftables 1.0.6 (Debian 1.0.6-2+deb12u2) and github.com/google/nftables v0.3.0: a set of
# interface names that the Go library makes with its defaults is listed by nft as a set of
# empty names, and nft refuses to load its own listing.
#
# The kernel's messages do not say in which order the bytes of a set's key are: a program adds
# that as user data (NFTNL_UDATA_SET_KEYBYTEORDER), for other programs to read. The library
# does so only if Set.KeyByteOrder is given; the kernel takes the set either way, and matches
# "eth0" either way. Without the note, nft reads a name, which is text, from its wrong end.
#
# Seen: without KeyByteOrder `elements = { "" }`, and "Empty string is not allowed" from
# `nft list ruleset | nft -f -`; with NativeEndian `elements = { "eth0" }`, and the listing loads.
#
# Exits with 0 while that is so. Needs root, Debian 12, Go and a module proxy. The tables are
# made in a network namespace that ends with the script.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
	libmnl0=1.0.4-3 libxtables12=1.8.9-2 libjansson4=2.14-2 >/dev/null 2>&1
for package in *.deb; do
	dpkg-deb -x "$package" root
done
cat > main.go <<'GO'
package main

import (
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// It makes a set that holds eth0. With an argument, it notes the order of the key's bytes.
func main() {
	conn, err := nftables.New()
	must(err)
	set := &nftables.Set{
		Table:   conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "finding"}),
		Name:    "links",
		KeyType: nftables.TypeIFName,
	}
	if len(os.Args) > 1 {
		set.KeyByteOrder = binaryutil.NativeEndian
	}
	name := make([]byte, 16) // IFNAMSIZ
	copy(name, "eth0")
	must(conn.AddSet(set, []nftables.SetElement{{Key: name}}))
	must(conn.Flush())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/google/nftables@v0.3.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go build -o make .
cat > look <<'SH'
./make "$@"
nft list ruleset >listing
grep elements listing
nft -f listing 2>&1 | sed -n 's/.*Error: //p'
SH
for order in "" native; do
	LD_LIBRARY_PATH="$dir/root/usr/lib/$(uname -m)-linux-gnu" PATH="$dir/root/usr/sbin:$PATH" \
		unshare -n sh look $order
done >seen
cat seen
cat > expected <<'TEXT'
		elements = { "" }
Empty string is not allowed
		elements = { "eth0" }
TEXT
diff expected seen
