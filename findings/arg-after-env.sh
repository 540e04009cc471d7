#!/bin/sh
# github.com/openshift/imagebuilder v1.2.22, with which podman and buildah read Dockerfiles, and
# github.com/moby/buildkit v0.34.2, frontend/dockerfile/dockerfile2llb: after ENV and ARG of one
# name, the same Dockerfile has different values.
#
# Docker's reference ("Using ARG variables") says that variables of ENV always override an ARG of
# the same name.
#
# Seen: when ENV comes second, both have its value. When ARG comes second, imagebuilder has the
# value of ENV and BuildKit that of ARG.
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
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/openshift/imagebuilder"
)

func main() {
	for _, lines := range []string{"ARG v=arg\nENV v=env", "ENV v=env\nARG v=arg"} {
		dockerfile := "FROM scratch\n" + lines + "\nLABEL v=$v\n"
		fmt.Println(strings.ReplaceAll(lines, "\n", ", "))
		fmt.Println("  BuildKit:", buildkit(dockerfile))
		fmt.Println("  imagebuilder:", podman(dockerfile))
	}
}

// buildkit returns the label v of the image.
func buildkit(dockerfile string) string {
	result, err := dockerfile2llb.Dockerfile2LLB(context.Background(), []byte(dockerfile), dockerfile2llb.ConvertOpt{})
	must(err)
	return result.Image.Config.Labels["v"]
}

// podman is the same by imagebuilder.
func podman(dockerfile string) string {
	file, err := imagebuilder.ParseDockerfile(strings.NewReader(dockerfile))
	must(err)
	stages, err := imagebuilder.NewStages(file, imagebuilder.NewBuilder(nil))
	must(err)
	for _, instruction := range stages[0].Node.Children {
		step := stages[0].Builder.Step()
		must(step.Resolve(instruction))
		must(stages[0].Builder.Run(step, imagebuilder.NoopExecutor, false))
	}
	return stages[0].Builder.RunConfig.Labels["v"]
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
ARG v=arg, ENV v=env
  BuildKit: env
  imagebuilder: env
ENV v=env, ARG v=arg
  BuildKit: arg
  imagebuilder: env
TEXT
diff expected seen
