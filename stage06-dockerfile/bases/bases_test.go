package bases

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage06-dockerfile/dockerfile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

var arm = ocispec.Platform{OS: "linux", Architecture: "arm64"}

func TestPlatform(t *testing.T) {
	globals := map[string]string{"ARCH": "linux/amd64", "EMPTY": ""}
	for text, want := range map[string]string{
		"FROM x":                          "arm64",
		"FROM --platform=linux/amd64 x":   "amd64",
		"FROM --platform=$ARCH x":         "amd64",
		"FROM --platform=linux/$NOBODY x": "--platform=linux/$NOBODY: ",
		"FROM --platform=$EMPTY x":        "--platform=$EMPTY: it is empty",
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte(text+"\n"))
		require.NoError(t, err)
		got, err := Platform(f, f.Stages[0].From, globals, arm)
		if err != nil {
			require.ErrorContains(t, err, want, text)
			continue
		}
		require.Equal(t, want, got.Architecture, text)
	}
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"FROM x AS a\nFROM a\nFROM scratch":          "",
		"FROM X":                                     "Dockerfile:1",
		"FROM x\nFROM ${NO}":                         "empty when its variables are replaced",
		"FROM x AS UPPER\nFROM UPPER":                "invalid image name", // as Docker has it
		"FROM x\nFROM --platform=a/b/c/d/e y":        "--platform=a/b/c/d/e",
		"FROM scratch AS unused\nFROM a:b:c\nFROM x": "a:b:c",
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte(text+"\n"))
		require.NoError(t, err)
		if err := Check(f, nil, arm, false); want != "" {
			require.ErrorContains(t, err, want, text)
		} else {
			require.NoError(t, err, text)
		}
	}
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM X\nFROM --platform=a/b/c/d/e y\n"))
	require.NoError(t, err)
	require.ErrorContains(t, Check(f, nil, arm, true), "--platform", "the name X is warned of, a platform is not")
}

func TestConfigurations(t *testing.T) {
	empty := Scratch(arm)
	require.Equal(t, "/", empty.Config.WorkingDir)
	require.Len(t, empty.Config.Env, 1)
	require.Nil(t, empty.Created)
	require.Equal(t, arm, empty.Platform)
	image := &oci.Image{}
	image.Config.Config.Env = []string{"A=PATH=1"}
	require.Equal(t, append([]string{"A=PATH=1"}, empty.Config.Env...), Config(image).Config.Env)
	require.Equal(t, []string{"A=PATH=1"}, image.Config.Config.Env)
	image.Config.Config.Env = []string{"PATH=/x"}
	require.Equal(t, []string{"PATH=/x"}, Config(image).Config.Env)
}
