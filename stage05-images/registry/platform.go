// Images for several platforms: an index lists a manifest for each.

package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ManifestFor gets the manifest of an image for a platform. It is Manifest, and if that returns an
// index, Choose, and Manifest again.
func (c *Client) ManifestFor(
	ctx context.Context, ref Reference, platform ocispec.Platform,
) (ocispec.Descriptor, []byte, error) {
	desc, data, err := c.Manifest(ctx, ref)
	if err != nil || !isIndex(desc) {
		return desc, data, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return desc, nil, fmt.Errorf("the index %s: %w", desc.Digest, err)
	}
	one, err := Choose(index, platform)
	if err != nil {
		return desc, nil, err
	}
	ref.Digest = one.Digest
	desc, data, err = c.Manifest(ctx, ref)
	if err == nil && isIndex(desc) {
		err = fmt.Errorf("the manifest %s for %s is an index again",
			one.Digest, formatPlatform(platform))
	}
	return desc, data, err
}

// isIndex reports whether a document is OCI's index or Docker's manifest list.
func isIndex(d ocispec.Descriptor) bool {
	return strings.Contains(d.MediaType, "index") || strings.Contains(d.MediaType, "list")
}

// Choose returns the entry of an index for a platform. Without a variant, any will do. The error
// lists the platforms of the index.
func Choose(index ocispec.Index, platform ocispec.Platform) (ocispec.Descriptor, error) {
	var available []string
	for _, d := range index.Manifests {
		p := d.Platform
		if p == nil || p.OS == "unknown" {
			continue // a note about another entry, such as how it was built
		}
		if p.OS == platform.OS && p.Architecture == platform.Architecture &&
			(platform.Variant == "" || p.Variant == platform.Variant) {
			return d, nil
		}
		available = append(available, formatPlatform(*p))
	}
	return ocispec.Descriptor{}, fmt.Errorf("no image for platform %s; available: %s",
		formatPlatform(platform), cmp.Or(strings.Join(available, ", "), "none with a platform"))
}

func formatPlatform(p ocispec.Platform) string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}
