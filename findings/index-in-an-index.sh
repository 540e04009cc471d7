#!/bin/sh
# go.podman.io/image/v5 v5.42.1 (the library of podman, buildah and skopeo), oras v1.3.6 and regctl
# v0.11.7 (regclient): an image whose index leads to a second index cannot be had by platform.
#
# The OCI image specification (image-index.md, "manifests") says that implementations SHOULD
# support an index in an index. "platform" is optional there, in an index as in a manifest.
#
# Seen, with the name "given", whose index says of the second one that it is for linux/amd64, and
# "bare", whose index says nothing: the library refuses both, oras both (of the first it takes the
# second index for the image), and regctl finds the image of the first alone.
#
# Exits with 0 while that is so. Needs Go, a module proxy and jq.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

// The image for linux/amd64 of a name in the layout "image" is copied to a directory.
func main() {
	from, err := layout.NewReference("image", os.Args[1])
	must(err)
	to, err := directory.NewReference(os.Args[2])
	must(err)
	anything := signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: anything})
	must(err)
	amd64 := &types.SystemContext{OSChoice: "linux", ArchitectureChoice: "amd64"}
	_, err = copy.Image(context.Background(), policy, to, from, &copy.Options{SourceCtx: amd64})
	must(err)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
GO
{
	go mod init finding
	go get go.podman.io/image/v5@v5.42.1
	go mod tidy
	go build -tags containers_image_openpgp -o bin/library .
	go install oras.land/oras/cmd/oras@v1.3.6
	go install github.com/regclient/regclient/cmd/regctl@v0.11.7
} >log 2>&1 || { cat log; exit 2; }

# blob puts its input into the layout, and prints the start of its descriptor.
mkdir -p image/blobs/sha256
blob() {
	cat >blob
	digest=$(sha256sum <blob | cut -d' ' -f1)
	size=$(wc -c <blob)
	mv blob "image/blobs/sha256/$digest"
	printf '{"mediaType": "%s", "digest": "sha256:%s", "size": %d' "$1" "$digest" "$size"
}
type=application/vnd.oci.image
index() { echo "{\"schemaVersion\": 2, \"mediaType\": \"$type.index.v1+json\", \"manifests\": [$1]}"; }
name() { echo ", \"annotations\": {\"org.opencontainers.image.ref.name\": \"$1\"}}"; }
platform=', "platform": {"os": "linux", "architecture": "amd64"}}'
config=$(echo '{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}' |
	blob $type.config.v1+json)
manifest=$(echo "{\"schemaVersion\": 2, \"mediaType\": \"$type.manifest.v1+json\", \"config\": $config}, \"layers\": []}" |
	blob $type.manifest.v1+json)
second=$(index "$manifest$platform" | blob $type.index.v1+json)
given=$(index "$second$platform" | blob $type.index.v1+json)
bare=$(index "$second}" | blob $type.index.v1+json)
echo '{"imageLayoutVersion": "1.0.0"}' >image/oci-layout
index "$second$(name flat), $given$(name given), $bare$(name bare)" >image/index.json

found() {
	if "$@" >log 2>&1; then echo yes; else echo no; fi
}
for name in flat given bare; do
	echo "$name: library $(found library $name copy-$name)" \
		"oras $(found oras manifest fetch-config --oci-layout --platform linux/amd64 image:$name)" \
		"regctl $(found regctl image config --platform linux/amd64 ocidir://image:$name)"
done >seen
cat seen
cat >expected <<'TEXT'
flat: library yes oras yes regctl yes
given: library no oras no regctl yes
bare: library no oras no regctl no
TEXT
diff expected seen
