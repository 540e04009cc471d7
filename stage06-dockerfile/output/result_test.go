package output

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/archive"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
)

// printed returns what do writes to a standard stream.
func printed(t *testing.T, stream **os.File, do func()) string {
	file, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	require.NoError(t, err)
	was := *stream
	*stream = file
	defer func() { *stream = was }()
	do()
	require.NoError(t, file.Close())
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return string(text)
}

// result is of one layer, a file f.
func result(t *testing.T) Result {
	layer := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(layer, "f"), []byte("content"), 0o644))
	return Result{
		Config: oci.NewConfig(),
		Layers: func() ([]string, error) { return []string{layer}, nil },
		Keep: func(names []string) (*oci.Image, error) {
			return &oci.Image{ID: digest.FromString(strings.Join(names, " "))}, nil
		},
		Blob: func(*archive.Writer, digest.Digest) error { return nil },
	}
}

func TestAllOutputsAreWritten(t *testing.T) {
	dir, r := t.TempDir(), result(t)
	var words []string
	kinds := []string{"type=oci"}
	if os.Geteuid() == 0 { // for others, box itself reads a tree: TestOutputsOfOneBuild has it do so
		kinds = append(kinds, "type=local", "type=tar")
	}
	for _, o := range kinds {
		words = append(words, o+",dest="+filepath.Join(dir, strings.TrimPrefix(o, "type=")))
	}
	outputs, err := Parse(append(words, "type=image,name=a", "type=cacheonly"))
	require.NoError(t, err)
	var image *oci.Image
	said := printed(t, &os.Stderr, func() { image, err = outputs.Write(t.Context(), r) })
	require.NoError(t, err)
	require.Equal(t, digest.FromString("a"), image.ID)
	require.Equal(t, len(kinds), strings.Count(said, "wrote "+dir), said)
	for _, o := range kinds {
		require.FileExists(t, filepath.Join(dir, strings.Replace(strings.TrimPrefix(o, "type="), "local", "local/f", 1)))
	}
	if os.Geteuid() == 0 {
		require.Contains(t, said, "local (local): 1 file, 7 B\n")
	}
	r.Quiet, r.Tags = true, []string{"tag"}
	require.Empty(t, printed(t, &os.Stderr, func() { image, err = outputs.Write(t.Context(), r) }))
	require.Equal(t, digest.FromString("tag"), image.ID)
}

func TestWhyAnOutputFailed(t *testing.T) {
	outputs, err := Parse([]string{"type=image"})
	require.NoError(t, err)
	r := result(t)
	r.Keep = func([]string) (*oci.Image, error) { return nil, errors.New("full") }
	_, err = outputs.Write(t.Context(), r)
	require.EqualError(t, err, "output to the store: full")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = outputs.Write(ctx, r)
	require.EqualError(t, err, "the build was interrupted")
}

func TestPrintID(t *testing.T) {
	image := &oci.Image{ID: digest.FromString("x")}
	for text, want := range map[string]string{"type=image": image.ID.String() + "\n", "type=oci": "", "type=oci,dest=f": image.ID.String() + "\n"} {
		outputs, err := Parse([]string{text})
		require.NoError(t, err)
		require.Equal(t, want, printed(t, &os.Stdout, func() { require.NoError(t, outputs.PrintID(image, nil)) }), text)
	}
	outputs, err := Parse([]string{"type=tar,dest=f"})
	require.NoError(t, err)
	require.Contains(t, printed(t, &os.Stderr, func() { require.NoError(t, outputs.PrintID(nil, []string{"a"})) }),
		"warning: --tag a: no --output is an image")
}
