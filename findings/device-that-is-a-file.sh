#!/bin/sh
# runc v1.5.3 (github.com/opencontainers/runc): where a bundle's "devices" puts a device and the image has
# a file, the container starts without an error, and has the file. `docker run --device HOST:PATH`
# becomes such an entry.
#
# The OCI runtime specification (config-linux.md, "Devices") says: if a file already exists at the path
# that does not match the requested device, the runtime MUST generate an error.
#
# Seen for the device 1:3, which is /dev/null, at paths of an image, without a word from runc: where there
# is nothing, it is the device. Where there is a file or a directory, it stays, and the program writes to
# the file. Where there is another device, 1:5, that stays.
#
# Exits with 0 while that is so. Needs root, Go, gcc, a module proxy and busybox-static.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
GOBIN="$dir" CGO_ENABLED=1 go install github.com/opencontainers/runc@v1.5.3 >log 2>&1 || { cat log; exit 2; }
mkdir -p bundle/rootfs/bin bundle/rootfs/proc bundle/rootfs/dev bundle/rootfs/srv/directory
cp /bin/busybox bundle/rootfs/bin
echo of the image >bundle/rootfs/srv/file
mknod bundle/rootfs/srv/zero c 1 5
for name in nothing file directory zero; do
	cat >bundle/config.json <<JSON
{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
 "process": {"cwd": "/", "args": ["/bin/busybox", "stat", "-c", "%F %t:%T", "/srv/$name"], "user": {"uid": 0, "gid": 0}},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
 "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"}],
  "devices": [{"path": "/srv/$name", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}]}}
JSON
	echo "$name: $(./runc --root "$dir/state" run --bundle bundle boxdevice 2>&1)"
done >seen
cat seen
cat >expected <<'TEXT'
nothing: character special file 1:3
file: regular file 0:0
directory: directory 0:0
zero: character special file 1:5
TEXT
diff expected seen
