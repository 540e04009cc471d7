#!/bin/sh
# oras.land/oras-go/v2 v2.7.0, the library of oras v1.3.6: at a registry that cannot list referrers,
# it cannot look for signatures and other artifacts of an image with a SHA-512 digest. It makes a tag
# that no registry may have, and refuses it itself. `oras manifest push` of such an artifact fails for
# the same reason, after the upload.
#
# At such a registry, clients keep the list under a tag that they make of the digest. The OCI
# distribution specification (1.1, "Referrers Tag Schema") names sha512 there, and limits the
# digest in the tag to 64 characters; its main branch says that it MUST be truncated. A SHA-512 has
# 128, and a tag up to 128 ("Pulling manifests").
#
# Seen: for a SHA-256, oras and github.com/regclient/regclient v0.11.7 ask for the same tag, of 71
# characters. For a SHA-512, regclient asks for one of 71 too. oras asks for none: "invalid tag".
#
# Exits with 0 while that is so. Needs Go and a module proxy. The registry is a server of the
# script, on the loopback interface.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/types/ref"
	oras "oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
)

// Two libraries list the referrers of an image at a registry that has nothing, not even the
// request for that. It prints the tag that they ask for.
func main() {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tag, ok := strings.CutPrefix(r.URL.Path, "/v2/app/manifests/"); ok {
			fmt.Printf("asks for %.12s…, %d characters\n", tag, len(tag))
		}
		http.NotFound(w, r)
	}))
	host := strings.TrimPrefix(registry.URL, "http://")
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		image := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Size: 2, Digest: algorithm.FromString("{}")}

		fmt.Print("oras ")
		repository, err := remote.NewRepository(host + "/app")
		must(err)
		repository.PlainHTTP = true
		err = repository.Referrers(context.Background(), image, "", func([]v1.Descriptor) error { return nil })
		if errors.Is(err, oras.ErrInvalidReference) {
			fmt.Printf("%.33s…\n", err)
		} else {
			must(err)
		}

		fmt.Print("regclient ")
		client := regclient.New(regclient.WithConfigHost(config.Host{Name: host, TLS: config.TLSDisabled}),
			regclient.WithSlog(slog.New(slog.NewTextHandler(io.Discard, nil))))
		name, err := ref.New(host + "/app@" + image.Digest.String())
		must(err)
		_, err = client.ReferrerList(context.Background(), name)
		must(err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get oras.land/oras-go/v2@v2.7.0 github.com/regclient/regclient@v0.11.7 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go run . >seen
cat seen
cat > expected <<'TEXT'
oras asks for sha256-44136…, 71 characters
regclient asks for sha256-44136…, 71 characters
oras invalid reference: invalid tag "s…
regclient asks for sha512-27c74…, 71 characters
TEXT
diff expected seen
