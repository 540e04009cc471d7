package buildflags

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
)

func TestParse(t *testing.T) {
	v, err := Parse(Source{BuildArg: []string{"A=1"}, Platform: "linux/arm64", Secret: []string{"id=s,env=E"}, Tag: []string{"a:b"}},
		Options{Annotation: []string{"n=2"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1"}, v.Args)
	require.Equal(t, map[string]string{"n": "2"}, v.Notes)
	require.Equal(t, map[string]Secret{"s": {env: "E"}}, v.Secrets)
	require.Equal(t, "arm64", v.Platform.Architecture)
	v, err = Parse(Source{}, Options{})
	require.NoError(t, err)
	require.Equal(t, oci.Here().Architecture, v.Platform.Architecture)
	for want, s := range map[string]Source{
		"--build-arg":  {BuildArg: []string{"=1"}},
		"--secret":     {Secret: []string{"src=f"}},
		"--tag ":       {Tag: []string{"a", "B"}},
		"linux/nobody": {Platform: "linux/nobody/a/b"},
	} {
		_, err := Parse(s, Options{})
		require.ErrorContains(t, err, want)
	}
	_, err = Parse(Source{}, Options{Annotation: []string{"n"}})
	require.ErrorContains(t, err, "--annotation")
}

func TestRewriteTimestampNeedsATime(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	none := func() (*time.Time, error) { return nil, nil }
	_, err := Options{RewriteTimestamp: true}.Epoch(map[string]string{}, nil, none)
	require.ErrorContains(t, err, "--rewrite-timestamp: SOURCE_DATE_EPOCH is not set")
	_, err = Options{RewriteTimestamp: true}.Epoch(map[string]string{"SOURCE_DATE_EPOCH": "context"}, nil, none)
	require.ErrorContains(t, err, "--rewrite-timestamp")
	at, err := Options{RewriteTimestamp: true}.Epoch(map[string]string{"SOURCE_DATE_EPOCH": "5"}, nil, none)
	require.NoError(t, err)
	require.EqualValues(t, 5, at.Unix())
	at, err = Options{}.Epoch(map[string]string{}, nil, none)
	require.NoError(t, err)
	require.Nil(t, at)
}

func TestIDFile(t *testing.T) {
	require.NoError(t, Options{}.CheckIDFile())
	require.NoError(t, Options{}.WriteIDFile(nil), "a build without an image")
	dir := t.TempDir()
	require.Error(t, Options{Iidfile: dir}.CheckIDFile())
	o := Options{Iidfile: filepath.Join(dir, "id")}
	require.NoError(t, o.CheckIDFile())
	require.NoFileExists(t, o.Iidfile)
	image := &oci.Image{ID: digest.FromString("x")}
	require.NoError(t, o.WriteIDFile(image))
	data, err := os.ReadFile(o.Iidfile)
	require.NoError(t, err)
	require.Equal(t, image.ID.String(), string(data))
}
