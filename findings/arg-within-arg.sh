#!/bin/sh
# github.com/moby/buildkit v0.34.2, frontend/dockerfile/dockerfile2llb, and
# github.com/openshift/imagebuilder v1.2.22, with which podman and buildah read Dockerfiles: if an ARG
# line sets a variable and uses it further on, BuildKit takes the new value and imagebuilder the one
# from before the line.
#
# Docker's reference ("Environment replacement") says that a variable has the same value throughout
# an instruction, and that a change takes effect in subsequent instructions only. Its example is an
# ENV; it does not say that an ARG is different.
#
# Seen, as the value of v after "ARG A=old" and "ARG A=new v=$A": BuildKit has "new" and imagebuilder
# "old", in a stage and before FROM. Without the first line, imagebuilder has "". With two lines of
# ENV, both have "old".
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
	for _, lines := range []string{
		"FROM scratch\nENV A=old\nENV A=new v=$A",
		"FROM scratch\nARG A=old\nARG A=new v=$A",
		"FROM scratch\nARG A=new v=$A",
		"ARG A=old\nARG A=new v=$A\nFROM scratch\nARG v",
	} {
		dockerfile := lines + "\nLABEL v=$v\n"
		fmt.Println(strings.ReplaceAll(lines, "\n", ", "))
		fmt.Printf("  BuildKit: %q\n", buildkit(dockerfile))
		fmt.Printf("  imagebuilder: %q\n", podman(dockerfile))
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
FROM scratch, ENV A=old, ENV A=new v=$A
  BuildKit: "old"
  imagebuilder: "old"
FROM scratch, ARG A=old, ARG A=new v=$A
  BuildKit: "new"
  imagebuilder: "old"
FROM scratch, ARG A=new v=$A
  BuildKit: "new"
  imagebuilder: ""
ARG A=old, ARG A=new v=$A, FROM scratch, ARG v
  BuildKit: "new"
  imagebuilder: "old"
TEXT
diff expected seen
