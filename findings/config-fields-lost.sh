#!/bin/sh
# github.com/opencontainers/umoci v0.6.0: `umoci config`, asked to set a label, also removes the
# health check, the shell and the triggers from an image's configuration. So do its other
# commands that write a new configuration. `regctl image mod` (regclient v0.11.7) keeps them.
#
# Docker writes Healthcheck, Shell and OnBuild for the instructions HEALTHCHECK, SHELL and
# ONBUILD. The OCI image specification (config.md, "Properties") reserves Healthcheck "to maintain
# compatibility". umoci reads the configuration into the specification's Go struct, which has
# none of the three fields, and writes that struct.
#
# Seen: after umoci the configuration has Labels and StopSignal, after regctl all five fields.
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
# fields lists what the configuration of a name says of running the image.
fields() {
	manifest=$(jq -r --arg name "$1" '.manifests[]
		| select(.annotations["org.opencontainers.image.ref.name"] == $name).digest' image/index.json)
	config=$(jq -r .config.digest "image/blobs/$(echo "$manifest" | tr : /)")
	echo "$1: $(jq -r '.config | keys | join(" ")' "image/blobs/$(echo "$config" | tr : /)")"
}
config=$(blob application/vnd.oci.image.config.v1+json <<'JSON'
{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
 "config": {"StopSignal": "SIGTERM", "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN true"],
            "Healthcheck": {"Test": ["CMD", "/check"]}}}
JSON
)
type=application/vnd.oci.image.manifest.v1+json
manifest=$(echo "{\"schemaVersion\": 2, \"mediaType\": \"$type\", \"config\": $config}, \"layers\": []}" | blob $type)
echo '{"imageLayoutVersion": "1.0.0"}' >image/oci-layout
echo "{\"schemaVersion\": 2, \"manifests\": [$manifest,
	\"annotations\": {\"org.opencontainers.image.ref.name\": \"docker\"}}]}" >image/index.json

umoci config --image image:docker --tag umoci --config.label a=b
regctl image mod ocidir://image:docker --create regctl --label a=b >log 2>&1 || { cat log; exit 2; }
{ fields docker; fields umoci; fields regctl; } >seen
cat seen
cat >expected <<'TEXT'
docker: Healthcheck OnBuild Shell StopSignal
umoci: Labels StopSignal
regctl: Healthcheck Labels OnBuild Shell StopSignal
TEXT
diff expected seen
