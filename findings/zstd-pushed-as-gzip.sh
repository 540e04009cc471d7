#!/bin/sh
# crane v0.22.1 (github.com/google/go-containerregistry, pkg/v1/tarball): an image with zstd layers
# that `crane pull` has saved and `crane push` uploads is changed. Its layers are zstd as before, and
# the manifest calls them gzip, so tools that go by the type cannot unpack them.
#
# Docker's description of the manifest (distribution, manifest-v2-2.md, "Media Types") has
# application/vnd.docker.image.rootfs.diff.tar.gzip for a layer that is a gzipped tar. To crane each
# layer of an archive is one, unless the field LayerSources says otherwise. `crane pull` writes that
# field for foreign layers alone. `regctl image export` (regclient v0.11.7) writes it for all, with
# the digest of the compressed layer as the key, where crane looks for that of the unpacked one.
#
# Seen: what crane pushes from either archive begins with zstd's 28b52ffd, is called tar.gzip, and
# umoci v0.6.0 cannot unpack it (from a layout, in OCI's format); it unpacks the image that was
# pulled. From crane's archive `regctl image import` makes a gzip layer, and from its own it restores
# the image: umoci unpacks both.
#
# Exits with 0 while that is so. Needs Go, a module proxy and jq. The registry is crane's own; it
# listens on localhost and keeps images in memory.
set -eu
dir=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill $registry; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
{
	go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
	go install github.com/regclient/regclient/cmd/regctl@v0.11.7
	# umoci's go.mod replaces modules, so go install takes it as the main module alone.
	cp -r "$(go mod download -json github.com/opencontainers/umoci@v0.6.0 | jq -r .Dir)" umoci
	chmod -R u+w umoci
	(cd umoci && go install ./cmd/umoci)
} >log 2>&1 || { cat log; exit 2; }
crane registry serve --address 127.0.0.1:0 >served 2>&1 &
registry=$!
until port=$(grep -os '[0-9]*$' served); do
	kill -0 $registry
	sleep 0.1
done
at=localhost:$port/app
host=reg=localhost:$port,tls=disabled

{
	echo hello >hello
	tar -cf layer.tar hello
	crane append --oci-empty-base -f layer.tar -t $at:gzip
	crane mutate $at:gzip --set-platform linux/amd64 -t $at:gzip
	regctl image mod --host $host $at:gzip --layer-compress zstd --create $at:zstd
	crane pull $at:zstd crane.tar
	regctl image export --host $host $at:zstd regctl.tar
	for archive in crane regctl; do
		crane push $archive.tar $at:$archive-crane
		regctl image import --host $host $at:$archive-regctl $archive.tar
	done
} >log 2>&1 || { cat log; exit 2; }

# look prints the type that an image's layer has, the layer's first bytes, and what umoci unpacks.
look() {
	layer=$(crane manifest $at:$1 | jq -r '.layers[0] | "\(.mediaType) \(.digest)"')
	printf '%s: %s, %s, ' $1 ${layer% *} $(crane blob $at@${layer#* } | od -An -tx1 -N4 | tr -d ' ')
	regctl image mod --host $host $at:$1 --to-oci --create ocidir://layout:$1 >log 2>&1
	umoci unpack --rootless --image layout:$1 $1 >log 2>&1 && cat $1/rootfs/hello || grep -o 'gzip: .*' log | head -1
}
for image in zstd crane-crane regctl-crane crane-regctl regctl-regctl; do
	look $image
done >seen
cat seen
cat >expected <<'TEXT'
zstd: application/vnd.oci.image.layer.v1.tar+zstd, 28b52ffd, hello
crane-crane: application/vnd.docker.image.rootfs.diff.tar.gzip, 28b52ffd, gzip: invalid header
regctl-crane: application/vnd.docker.image.rootfs.diff.tar.gzip, 28b52ffd, gzip: invalid header
crane-regctl: application/vnd.docker.image.rootfs.diff.tar.gzip, 1f8b0800, hello
regctl-regctl: application/vnd.oci.image.layer.v1.tar+zstd, 28b52ffd, hello
TEXT
diff expected seen
