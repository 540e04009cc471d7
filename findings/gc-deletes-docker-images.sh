#!/bin/sh
# github.com/opencontainers/umoci v0.6.0: `umoci gc` deletes the configuration and the layers of
# an image in an OCI layout whose manifest has Docker's media type, and keeps the manifest and
# the image's name. It follows the references of the specification's own media types alone, and
# takes what it does not follow for garbage.
#
# Such layouts are common: `crane pull --format=oci` of an image that was pushed in Docker's
# format, and `docker save` of one that Docker's containerd store has pulled, write them. The
# OCI image specification (image-layout.md, "index.json file") allows any media type there.
#
# Seen, in a layout with the same image in both formats: before, regctl v0.11.7 (regclient) copies
# both; after `umoci gc` it copies the one in OCI's format, and misses a blob of the other.
#
# Exits with 0 while that is so. Needs Go, a module proxy and jq.
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
# umoci's go.mod replaces modules, so go install takes it as the main module alone.
cp -r "$(go mod download -json github.com/opencontainers/umoci@v0.6.0 | jq -r .Dir)" umoci
chmod -R u+w umoci
(cd umoci && go install ./cmd/umoci) >log 2>&1 || { cat log; exit 2; }
go install github.com/regclient/regclient/cmd/regctl@v0.11.7 >log 2>&1 || { cat log; exit 2; }

# blob puts its input into the layout, and prints the start of its descriptor.
mkdir -p image/blobs/sha256
blob() {
	cat >blob
	digest=$(sha256sum <blob | cut -d' ' -f1)
	size=$(wc -c <blob)
	mv blob "image/blobs/sha256/$digest"
	printf '{"mediaType": "%s", "digest": "sha256:%s", "size": %d' "$1" "$digest" "$size"
}
# image NAME MANIFEST CONFIG LAYER puts an image of these media types into it.
image() {
	mkdir "$1"
	echo "$1" >"$1/name"
	tar -cf "$1.tar" "$1"
	config=$(printf '{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
		"$(sha256sum <"$1.tar" | cut -d' ' -f1)" | blob "$3")
	layer=$(gzip -n <"$1.tar" | blob "$4")
	manifest=$(printf '{"schemaVersion": 2, "mediaType": "%s", "config": %s}, "layers": [%s}]}' \
		"$2" "$config" "$layer" | blob "$2")
	echo "$manifest, \"annotations\": {\"org.opencontainers.image.ref.name\": \"$1\"}}"
}
oci=application/vnd.oci.image
docker=application/vnd.docker
echo '{"imageLayoutVersion": "1.0.0"}' >image/oci-layout
echo "{\"schemaVersion\": 2, \"manifests\": [
	$(image oci $oci.manifest.v1+json $oci.config.v1+json $oci.layer.v1.tar+gzip),
	$(image docker $docker.distribution.manifest.v2+json $docker.container.image.v1+json \
		$docker.image.rootfs.diff.tar.gzip)]}" >image/index.json

copies() {
	for name in oci docker; do
		if regctl image copy "ocidir://image:$name" "ocidir://$1:$name" >log 2>&1; then
			echo "$1 gc: $name is copied"
		else
			echo "$1 gc: $name: $(grep -o 'no such file or directory' log | head -1)"
		fi
	done
}
{ copies before; umoci gc --layout image; copies after; } >seen
cat seen
cat >expected <<'TEXT'
before gc: oci is copied
before gc: docker is copied
after gc: oci is copied
after gc: docker: no such file or directory
TEXT
diff expected seen
