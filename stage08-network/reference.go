// The name of an image says where it is: [HOST[:PORT]/]PATH[:TAG][@DIGEST]. What is left out
// is Docker's: the registry docker.io, there the directory library/ of the official images,
// and the tag latest. The grammar is that of github.com/distribution/reference, which has the
// traps written down; here is a small type for the result, and sentences for what is wrong.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// The default registry answers at two other addresses than the one in its images' names.
const (
	defaultRegistry = "docker.io"
	defaultAPI      = "registry-1.docker.io"
	defaultIndex    = "index.docker.io" // of search, and the name in files of credentials
	officialImages  = "library/"
)

// Reference is the name of an image with nothing left out. Two of them are the same image's
// name when they are equal.
type Reference struct {
	Host       string        // of the registry: docker.io, localhost:5000
	Repository string        // library/alpine
	Tag        string        // latest; "" when only a digest was given
	Digest     digest.Digest // sha256:…; "" when none was given
}

// parseReference reads a name. The digest counts where there is a tag as well.
func parseReference(name string) (Reference, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return Reference{}, fmt.Errorf("%q cannot be the name of an image: %s; names are such as alpine, user/app:1.2 and localhost:5000/app", name, complaint(name))
	}
	named = reference.TagNameOnly(named)
	ref := Reference{Host: reference.Domain(named), Repository: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		ref.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		ref.Digest = digested.Digest()
	}
	return ref, nil
}

// parseHost reads the address of a registry, as login and search take it: "" is the default.
func parseHost(address string) (string, error) {
	_, host, isURL := strings.Cut(address, "://")
	if !isURL {
		host = address
	}
	host, _, _ = strings.Cut(host, "/")
	if host == "" || host == defaultIndex || host == defaultAPI {
		host = defaultRegistry
	}
	ref, err := parseReference(host + "/x/y")
	if err != nil || ref.Host != host {
		return "", fmt.Errorf("%q cannot be the address of a registry: it is localhost, or has a dot or a port, such as registry.example.com and host:5000", address)
	}
	return host, nil
}

// complaint says which part of a name the grammar does not allow.
func complaint(name string) string {
	rest, sum, hasDigest := strings.Cut(name, "@")
	path, tag, hasTag := rest, "", false
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "/") {
		path, tag, hasTag = rest[:colon], rest[colon+1:], true
	}
	switch {
	case name == "":
		return "it is empty"
	case strings.Contains(name, "://"):
		return "it is a URL, so leave out what stands before the address"
	case hasDigest && !grammatical("x@"+sum):
		return "behind the @ belongs a digest, sha256: and 64 hexadecimal digits in lower case"
	case hasTag && !grammatical("x:"+tag):
		return fmt.Sprintf("%q cannot be a tag, which is at most 128 letters, digits, _, . and -, and begins with none of the last two", tag)
	case len(path) == 64 && strings.Trim(path, "0123456789abcdef") == "":
		return "64 hexadecimal digits are an image's ID"
	case len(path) > reference.RepositoryNameTotalLengthMax:
		return fmt.Sprintf("it has more than %d characters", reference.RepositoryNameTotalLengthMax)
	case strings.Contains("/"+path+"/", "//"):
		return "something is missing before or behind a /"
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case grammatical("x/" + part):
		case grammatical("x/" + strings.ToLower(part)):
			return fmt.Sprintf("%q must be in lower case", part)
		default:
			return fmt.Sprintf("%q must be of lower-case letters and digits, with one of . _ __ - between them", part)
		}
	}
	return fmt.Sprintf("the address or a part of %q is not allowed", path)
}

func grammatical(name string) bool {
	_, err := reference.Parse(name)
	return err == nil
}

// Official is true for the images that the default registry's owners look after.
func (r Reference) Official() bool {
	return r.Host == defaultRegistry && strings.HasPrefix(r.Repository, officialImages)
}

// String is the name with nothing left out.
func (r Reference) String() string {
	name := r.Host + "/" + r.Repository
	if r.Tag != "" {
		name += ":" + r.Tag
	}
	if r.Digest != "" {
		name += "@" + r.Digest.String()
	}
	return name
}

// Familiar is the name as Docker shows it, without docker.io/ and library/: the shortest that
// is read as the same name. (docker.io/localhost/app keeps all: localhost/app is elsewhere.)
func (r Reference) Familiar() string {
	name := r.String()
	for _, prefix := range []string{defaultRegistry + "/" + officialImages, defaultRegistry + "/"} {
		short, ok := strings.CutPrefix(name, prefix)
		if again, err := parseReference(short); ok && err == nil && again == r {
			return short
		}
	}
	return name
}

// pushable says why nobody can push to a name, and what to do instead.
func (r Reference) pushable() error {
	name := strings.TrimPrefix(r.Repository, officialImages)
	switch {
	case r.Digest != "":
		return errors.New("a push cannot choose its digest: give a tag, " + r.Host + "/" + r.Repository + ":" + cmp.Or(r.Tag, "latest"))
	case r.Official():
		return fmt.Errorf("names without a user, such as %s, are those of the official images, and only their makers push them: box tag %s USER/%s:%s, and push that; or to another registry, localhost:5000/%s:%s",
			name, r.Familiar(), name, r.Tag, name, r.Tag)
	}
	return nil
}
