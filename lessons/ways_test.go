package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func readFile(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestDevContainer: the file has the form of containers.dev, the Go of go.mod, and README its command.
func TestDevContainer(t *testing.T) {
	var c struct {
		Name, Image     string
		RunArgs, Mounts []string
		OnCreateCommand string
		ContainerEnv    map[string]string
	}
	d := json.NewDecoder(openFile(t, "../.devcontainer/devcontainer.json"))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&c))
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "../go.mod"))[1]
	require.Equal(t, "golang:"+version+"-bookworm", c.Image)
	require.Contains(t, c.RunArgs, "--privileged")
	require.Contains(t, c.OnCreateCommand, "apt-get install -y")
	require.Contains(t, readFile(t, "../README.md"),
		"`devcontainer up --workspace-folder . && devcontainer exec --workspace-folder . go run ./lessons demo`")
}

func openFile(t *testing.T, path string) *os.File {
	file, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	return file
}

// TestLima: the file is YAML with what Lima asks for, and README has the command that it names.
func TestLima(t *testing.T) {
	text := readFile(t, "../lima.yaml")
	require.YAMLEq(t, text, text)
	for _, want := range []string{`(?m)^images:\n- location: "https://\S+amd64\.qcow2"\n  arch: "x86_64"\n- location: "https://\S+arm64\.qcow2"\n  arch: "aarch64"$`,
		`(?m)^mounts:\n- location: "~"\n  writable: true$`, `(?m)^provision:\n- mode: system\n  script: \|\n    #!/bin/bash$`, `golang-go git`} {
		require.Regexp(t, want, text)
	}
	command := regexp.MustCompile(`(?m)^#   (limactl .*)$`).FindStringSubmatch(text)[1]
	require.Contains(t, readFile(t, "../README.md"), "`"+command+"`")
}
