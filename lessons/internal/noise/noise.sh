#!/bin/sh
# Somebody else's work on this host: containers, mounts, bridges, cgroups, processes and files
# that come and go, again and again until this script is ended, which then removes them.
#
#     sudo sh noise.sh BOX
#
# Tests have to hold beside it: what they do not own may change at any moment.
set -u
box=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/box-noise-XXXXXX") || exit 1
export BOX_ROOT="$dir/store"
bridge=bxn$$ # a name of a link has 15 bytes at most

# Every group that can be made, of version 1 and 2.
trees=$(awk '$0 ~ / - cgroup2? / { print $5 }' /proc/self/mountinfo)

leave() {
	trap - EXIT INT TERM HUP
	"$box" rm -f $("$box" ps -aq) >/dev/null 2>&1
	kill $(jobs -p) 2>/dev/null
	wait 2>/dev/null
	"$box" network rm bridge >/dev/null 2>&1
	umount -l "$dir/mount" "$dir"/brief* 2>/dev/null
	ip link del "$bridge" 2>/dev/null
	for tree in $trees; do rmdir "$tree/box-noise-$$" 2>/dev/null; done
	rm -rf "$dir"
	exit
}
trap leave EXIT INT TERM HUP

mkdir -p "$dir/mount"
"$box" run --rm tiny true || exit 1
echo ready
n=0
while :; do
	n=$((n + 1))
	# Mounts, and links in the host's network.
	mount -t tmpfs box-noise "$dir/mount" && touch "$dir/mount/file"
	# Removing a directory takes away what is mounted on it, in every namespace.
	mkdir "$dir/brief$n" && mount --bind "$dir" "$dir/brief$n"
	ip link add "$bridge" type bridge
	# Groups, with processes in them.
	for tree in $trees; do
		mkdir "$tree/box-noise-$$" 2>/dev/null
	done
	sleep 0.2 &
	# Containers: one that ends, one that goes on, and one whose box is killed.
	"$box" run -d --name "noise$n" tiny sleep 2 >/dev/null
	"$box" run --rm -m 64m tiny sh -c 'mount -t tmpfs x /tmp; id' >/dev/null 2>&1
	"$box" run tiny sleep 5 >/dev/null 2>&1 &
	killed=$!
	# Renames everywhere: they make look-ups of paths start again.
	for i in 1 2 3 4 5 6 7 8 9; do
		mv "$dir/mount" "$dir/moved" 2>/dev/null && mv "$dir/moved" "$dir/mount"
		: >"$dir/a$i" && mv "$dir/a$i" "$dir/b$i"
	done
	sleep 0.1
	kill -KILL "$killed" 2>/dev/null
	"$box" rm -f "noise$n" >/dev/null 2>&1
	for tree in $trees; do
		rmdir "$tree/box-noise-$$" 2>/dev/null
	done
	ip link del "$bridge"
	umount -l "$dir/mount"
	umount -l "$dir/brief$n" && rmdir "$dir/brief$n"
done
