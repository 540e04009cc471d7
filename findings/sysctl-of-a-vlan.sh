#!/bin/sh
# runc v1.5.3 (github.com/opencontainers/runc): through a bundle's "sysctl" the settings of an interface
# cannot be set whose name has a dot, as that of a VLAN often has. There are two ways to write
# such a setting, and runc takes both for another file.
#
# The OCI runtime specification (config-linux.md, "Sysctl") leaves the names to sysctl(8), which takes "/"
# for a separator in place of ".". sysctl.d(5) says more: if the first separator is a slash, dots stay as they
# are; if it is a dot, dots and slashes change places. Its example is an interface enp3s0.200, and
# net/ipv4/conf/enp3s0.200/forwarding is the same as net.ipv4.conf.enp3s0/200.forwarding.
#
# Seen in a network namespace with an interface box0.5: sysctl (Debian's procps 2:4.0.2-3) sets both. runc
# looks for conf/box0/5/forwarding each time, and starts no container. The setting of lo it finds.
#
# Exits with 0 while that is so. Needs root, Debian 12, Go, gcc, a module proxy, busybox-static, ip
# and util-linux. The interface is in a namespace that ends with the script.
set -eu
dir=$(mktemp -d)
trap 'kill $holder 2>/dev/null || true; rm -rf "$dir"' EXIT
holder=
cd "$dir"
GOBIN="$dir" CGO_ENABLED=1 go install github.com/opencontainers/runc@v1.5.3 >log 2>&1 || { cat log; exit 2; }
apt-get download procps=2:4.0.2-3 libproc2-0=2:4.0.2-3 >/dev/null 2>&1
for package in *.deb; do
	dpkg-deb -x "$package" root
done
mkdir -p bundle/rootfs/bin bundle/rootfs/proc
cp /bin/busybox bundle/rootfs/bin
unshare -n sleep 600 &
holder=$!
until ! [ /proc/$holder/ns/net -ef /proc/self/ns/net ]; do sleep 0.1; done
inside() { nsenter --net=/proc/$holder/ns/net "$@"; }
inside ip link add box0.5 type veth peer name box1

# by SETTING: whether sysctl and runc set it.
by() {
	echo "$1"
	if LD_LIBRARY_PATH="$dir/root/usr/lib/$(uname -m)-linux-gnu" inside root/sbin/sysctl -qw "$1=1"; then
		echo "  sysctl: set"
	fi
	cat >bundle/config.json <<JSON
{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
 "process": {"cwd": "/", "args": ["/bin/busybox", "true"], "user": {"uid": 0, "gid": 0}},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
 "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/proc/$holder/ns/net"}],
  "sysctl": {"$1": "1"}}}
JSON
	if ./runc --root "$dir/state" run --bundle bundle boxvlan >log 2>&1; then
		echo "  runc: set"
	else
		echo "  runc: $(grep -o 'conf/[a-z0-9./]*: no such file or directory' log)"
	fi
}
{
	by net.ipv4.conf.lo.forwarding
	by net/ipv4/conf/box0.5/forwarding
	by net.ipv4.conf.box0/5.forwarding
} >seen
cat seen
cat >expected <<'TEXT'
net.ipv4.conf.lo.forwarding
  sysctl: set
  runc: set
net/ipv4/conf/box0.5/forwarding
  sysctl: set
  runc: conf/box0/5/forwarding: no such file or directory
net.ipv4.conf.box0/5.forwarding
  sysctl: set
  runc: conf/box0/5/forwarding: no such file or directory
TEXT
diff expected seen
