// Package registry is a client of image registries.
//
// A registry needs five operations (OCI Distribution Specification, spec.md): get and put a
// manifest; find, get and upload a blob (POST, then PUT); curl can make each of them. Blobs and
// manifests are named by the digest of their bytes, so they can be checked; only for which digest
// a tag means is the registry's word taken.
//
// The requests are in registry.go, download.go and upload.go, and search.go finds repositories.
// Connections are in connection.go, their certificates in certificates.go, errors and retries in
// retry.go. auth.go answers a registry that asks for credentials; dockerconfig.go looks them up and
// stores them. platform.go chooses among the manifests of an index, and exchange.go describes
// requests for --explain. Start with reference.go, the grammar of image names.
package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"
)

// manifestTypes are the media types that can describe an image: an index (several platforms) or a
// manifest (one), each by OCI's name and by Docker's.
var manifestTypes = []string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// pullScope and pushScope are what a token has to allow.
func pullScope(repo string) string { return "repository:" + repo + ":pull" }
func pushScope(repo string) string { return "repository:" + repo + ":pull,push" }

// Manifest gets the manifest or index that ref names, by its digest if it has one and otherwise by
// its tag. It returns the exact bytes and their descriptor. The bytes match the digest of ref; for
// a tag, they match the digest that the registry announced.
func (c *Client) Manifest(ctx context.Context, ref Reference) (ocispec.Descriptor, []byte, error) {
	var desc ocispec.Descriptor
	if ref.Digest != "" {
		if err := ref.Digest.Validate(); err != nil {
			return desc, nil, fmt.Errorf("manifest %s: %w", Printable(ref.Digest.String()), err)
		}
	}
	header, data, err := c.fetch(ctx, request{
		method: "GET", target: manifestPath(ref), scope: pullScope(ref.Repository),
		why: "what is the image made of?", header: http.Header{"Accept": manifestTypes},
	})
	if err != nil {
		return desc, nil, err
	}
	desc = ocispec.Descriptor{Size: int64(len(data))}
	announced := digest.Digest(header.Get("Docker-Content-Digest"))
	if desc.Digest, err = manifestDigest(ref.Digest, announced, data); err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	desc.MediaType, err = manifestType(header.Get("Content-Type"), data)
	return desc, data, err
}

func manifestPath(ref Reference) string {
	return "/v2/" + ref.Repository + "/manifests/" + cmp.Or(ref.Digest.String(), ref.Tag)
}

// manifestDigest computes the digest of a manifest, and compares it with the one that was asked
// for or, if none was, with the one that the registry announced.
func manifestDigest(want, announced digest.Digest, data []byte) (digest.Digest, error) {
	if want == "" && announced.Validate() == nil {
		want = announced
	}
	sum := cmp.Or(want, digest.FromBytes(nil)).Algorithm().FromBytes(data)
	if want != "" && want != sum {
		return "", fmt.Errorf("manifest %s: the registry sent other bytes; their digest is %s", want, sum)
	}
	return sum, nil
}

// manifestType is the media type of a manifest. If the manifest names one and the header another,
// one reader would see a manifest and another an index (CVE-2021-41190).
func manifestType(header string, data []byte) (string, error) {
	var self struct{ MediaType string }
	if err := json.Unmarshal(data, &self); err != nil {
		return "", fmt.Errorf("the manifest is not JSON: %w", err)
	}
	kind, _, _ := strings.Cut(header, ";")
	switch {
	case !slices.Contains(manifestTypes, kind) && self.MediaType != "":
		kind = self.MediaType
	case self.MediaType != "" && self.MediaType != kind:
		return "", fmt.Errorf("the registry says that the manifest is %s, and the manifest says %s",
			kind, Printable(self.MediaType))
	}
	if !slices.Contains(manifestTypes, kind) {
		return "", fmt.Errorf("%q is not the type of an image's manifest", Printable(kind))
	}
	return kind, nil
}

// PutManifest uploads a manifest under the digest or tag of ref. The registry must have all the
// blobs that it names.
func (c *Client) PutManifest(
	ctx context.Context, ref Reference, mediaType string, data []byte,
) error {
	q := request{
		method: "PUT", target: manifestPath(ref), scope: pushScope(ref.Repository),
		why: "all blobs are there: this is the image", header: http.Header{"Content-Type": {mediaType}},
	}
	q.setBody(data)
	return c.retry(ctx, func() error { return c.expect(ctx, q, http.StatusCreated) })
}

// expect makes a request of whose answer only the status matters.
func (c *Client) expect(ctx context.Context, q request, status int) error {
	resp, err := c.do(ctx, q, status)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// hasBlob reports whether a blob is in a repository.
func (c *Client) hasBlob(
	ctx context.Context, repo string, blob ocispec.Descriptor,
) (has bool, err error) {
	q := request{
		method: "HEAD", target: blobPath(repo, blob), scope: pushScope(repo),
		why: "is this blob there already?",
	}
	err = c.retry(ctx, func() error {
		resp, err := c.do(ctx, q, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		has = resp.StatusCode == http.StatusOK
		return resp.Body.Close()
	})
	return has, err
}

func blobPath(repo string, blob ocispec.Descriptor) string {
	return "/v2/" + repo + "/blobs/" + blob.Digest.String()
}
