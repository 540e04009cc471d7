package registry

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

func TestChooseListsWhatIsAvailable(t *testing.T) {
	arm := ocispec.Descriptor{Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}
	got, err := Choose(ocispec.Index{Manifests: []ocispec.Descriptor{{}, arm}}, *arm.Platform)
	require.NoError(t, err)
	require.Equal(t, arm, got)
	other := ocispec.Platform{OS: "linux", Architecture: "riscv64"}
	for want, list := range map[string][]ocispec.Descriptor{"linux/arm64": {arm}, "none with a platform": {{}}} {
		_, err := Choose(ocispec.Index{Manifests: list}, other)
		require.EqualError(t, err, "no image for platform linux/riscv64; available: "+want)
	}
}
