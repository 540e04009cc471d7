#!/bin/sh
# github.com/openshift/imagebuilder v1.2.22, with which podman and buildah read Dockerfiles: EXPOSE
# with a range of ports writes the range itself into the image's configuration. BuildKit (v0.34.2,
# frontend/dockerfile/dockerfile2llb) writes its ports.
#
# Docker's reference allows ranges. The OCI image specification (config.md, "ExposedPorts") has
# keys of the form port/tcp, port/udp or port alone. So a tool that looks a port up in an image
# built by podman does not find it, and one that splits a key at "/" has no number.
#
# Seen for "EXPOSE 8000-8002": the one key 8000-8002/tcp, and three keys from BuildKit.
#
# Exits with 0 while that is so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/openshift/imagebuilder"
)

const dockerfile = "FROM scratch\nEXPOSE 8000-8002\n"

func main() {
	result, err := dockerfile2llb.Dockerfile2LLB(context.Background(), []byte(dockerfile), dockerfile2llb.ConvertOpt{})
	must(err)
	fmt.Println("BuildKit:", slices.Sorted(maps.Keys(result.Image.Config.ExposedPorts)))

	file, err := imagebuilder.ParseDockerfile(strings.NewReader(dockerfile))
	must(err)
	stages, err := imagebuilder.NewStages(file, imagebuilder.NewBuilder(nil))
	must(err)
	for _, instruction := range stages[0].Node.Children {
		step := stages[0].Builder.Step()
		must(step.Resolve(instruction))
		must(stages[0].Builder.Run(step, imagebuilder.NoopExecutor, false))
	}
	for port := range stages[0].Builder.RunConfig.ExposedPorts {
		fmt.Println("imagebuilder:", port)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/moby/buildkit@v0.34.2 github.com/openshift/imagebuilder@v1.2.22 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go run . >seen
cat seen
cat >expected <<'TEXT'
BuildKit: [8000/tcp 8001/tcp 8002/tcp]
imagebuilder: 8000-8002/tcp
TEXT
diff expected seen
