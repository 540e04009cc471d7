#!/bin/sh
# oras v1.3.6 and regctl v0.11.7 (regclient): an image in an OCI layout whose name has a colon,
# such as "shop:1", cannot be asked for by its name; regctl takes two of them for one.
#
# The OCI image specification (annotations.md, "Pre-Defined Annotation Keys") gives a grammar for
# org.opencontainers.image.ref.name in which ":" separates parts of a component, so "shop:1" is
# a name. skopeo and umoci write and read such names ("oci:DIR:shop:1").
#
# Seen, with "shop:1" and "inn:1" in a layout: umoci opens DIR:shop:1. oras lists both names, and
# looks for a directory "DIR:shop" when asked for one. regctl refuses "ocidir://DIR:shop:1",
# lists the single tag "1", and gives the first of the two images for it.
#
# Exits with 0 while that is so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOBIN="$dir/bin" CGO_ENABLED=0 PATH="$dir/bin:$PATH"
go install oras.land/oras/cmd/oras@v1.3.6 2>/dev/null
go install github.com/regclient/regclient/cmd/regctl@v0.11.7 2>/dev/null
cat > main.go <<'GO'
package main

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// It makes a layout of two images, each with its name as a label too.
func main() {
	path, err := layout.Write("store", empty.Index)
	must(err)
	for _, name := range []string{"shop:1", "inn:1"} {
		image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
		image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
		image, err = mutate.Config(image, v1.Config{Labels: map[string]string{"name": name}})
		must(err)
		must(path.AppendImage(image, layout.WithAnnotations(
			map[string]string{"org.opencontainers.image.ref.name": name})))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/google/go-containerregistry@v0.22.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
go get github.com/opencontainers/umoci/cmd/umoci@v0.6.0 >/dev/null 2>&1
go build -o bin/umoci github.com/opencontainers/umoci/cmd/umoci
{
	echo umoci: $(umoci ls --layout store)
	umoci stat --image store:shop:1 >/dev/null && echo umoci finds shop:1
	echo oras: $(oras repo tags --oci-layout store)
	oras manifest fetch --oci-layout store:shop:1 2>&1 | grep -o 'failed to find path "store:shop"'
	echo regctl: $(regctl tag ls ocidir://store)
	regctl image inspect ocidir://store:shop:1 2>&1 | grep -o 'invalid reference'
	echo $(regctl image inspect ocidir://store:1 --format '{{.Config.Labels}}')
} >seen
cat seen
cat > expected <<'TEXT'
umoci: shop:1 inn:1
umoci finds shop:1
oras: inn:1 shop:1
failed to find path "store:shop"
regctl: 1
invalid reference
map[name:shop:1]
TEXT
diff expected seen
