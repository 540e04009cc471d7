package ocispec_test

import (
	"reflect"
	"testing"

	theirs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/ocispec"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

// Every document has the members of the specification's own types, in their order.
func TestDocumentsAreThoseOfTheSpecification(t *testing.T) {
	for ours, them := range map[any]any{
		reflect.TypeFor[ocispec.ImageLayout](): reflect.TypeFor[theirs.ImageLayout](), reflect.TypeFor[ocispec.Descriptor](): reflect.TypeFor[theirs.Descriptor](),
		reflect.TypeFor[ocispec.Index](): reflect.TypeFor[theirs.Index](), reflect.TypeFor[ocispec.Manifest](): reflect.TypeFor[theirs.Manifest](),
		reflect.TypeFor[ocispec.Image](): reflect.TypeFor[theirs.Image](),
	} {
		require.Equal(t, members(them.(reflect.Type)), members(ours.(reflect.Type)), ours)
	}
	require.Equal(t, theirs.DescriptorEmptyJSON.Digest.String(), ocispec.DescriptorEmptyJSON.Digest.String())
	require.Equal(t, theirs.DescriptorEmptyJSON.Size, ocispec.DescriptorEmptyJSON.Size)
	require.Equal(t, theirs.DescriptorEmptyJSON.Data, ocispec.DescriptorEmptyJSON.Data)
	require.Equal(t, []string{
		theirs.MediaTypeImageIndex, theirs.MediaTypeImageManifest, theirs.MediaTypeImageConfig, theirs.MediaTypeEmptyJSON,
		theirs.MediaTypeImageLayer, theirs.MediaTypeImageLayerGzip, theirs.MediaTypeImageLayerZstd,
		theirs.ImageLayoutFile, theirs.ImageLayoutVersion, theirs.ImageIndexFile, theirs.ImageBlobsDir, theirs.AnnotationRefName,
	}, []string{
		ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeEmptyJSON,
		ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		ocispec.ImageLayoutFile, ocispec.ImageLayoutVersion, ocispec.ImageIndexFile, ocispec.ImageBlobsDir, ocispec.AnnotationRefName,
	})
}

// members lists the fields that a type has in JSON, with their tags and kinds.
func members(t reflect.Type) (list []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		below := members(f.Type)
		if !f.Anonymous {
			list = append(list, f.Name+" "+f.Type.Kind().String()+" "+string(f.Tag))
		}
		if f.Type != reflect.PointerTo(t) {
			list = append(list, below...)
		}
	}
	return list
}
