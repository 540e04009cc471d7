// The name of an image says where it is: [HOST[:PORT]/]PATH[:TAG][@DIGEST]. Docker's defaults
// complete it: the registry docker.io, there the directory library/ of the official images, and the
// tag latest. The grammar is that of the distribution project's reference library, with which the
// tests compare it; the library itself would add milliseconds to every start of box, in which
// regular expressions are compiled.

package registry

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"stagebox/stage05-images/digest"
)

// The default registry is at other addresses than the one in its images' names.
const (
	defaultRegistry = "docker.io"
	defaultAPI      = "registry-1.docker.io"
	defaultIndex    = "index.docker.io" // of search, and the name in files of credentials
	officialImages  = "library/"
	maxPath         = 255 // characters of a repository
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	hexes  = "0123456789abcdef"
)

// madeOf reports whether a text is not empty and all its characters are of a set.
func madeOf(text, set string) bool { return text != "" && strings.Trim(text, set) == "" }

// isID reports whether a name would be taken for the id of an image.
func isID(text string) bool { return len(text) == 64 && madeOf(text, hexes) }

// Reference is the complete name of an image. Two are equal if they name the same image.
type Reference struct {
	Host       string        // of the registry: docker.io, localhost:5000
	Repository string        // library/alpine
	Tag        string        // latest; "" when only a digest was given
	Digest     digest.Digest // sha256:…; "" when none was given
}

// ParseReference reads the name of an image, and completes it as Docker does. If a name has both a
// tag and a digest, the digest decides. The error says which part of the name is wrong.
func ParseReference(name string) (Reference, error) {
	host, rest := splitHost(name)
	rest, sum, hasDigest := strings.Cut(rest, "@")
	path, tag, hasTag := strings.Cut(rest, ":")
	if host == defaultRegistry && !strings.Contains(path, "/") {
		path = officialImages + path
	}
	ref := Reference{Host: host, Repository: path, Tag: tag, Digest: digest.Digest(sum)}
	if !isHost(host) || !isPath(path) || hasTag && !isTag(tag) ||
		hasDigest && ref.Digest.Validate() != nil || isID(name) {
		return Reference{}, fmt.Errorf("invalid image name %q: %s; examples are alpine, user/app:1.2 and localhost:5000/app", name, complaint(name))
	}
	if !hasTag && !hasDigest {
		ref.Tag = "latest"
	}
	return ref, nil
}

// ParseNewName parses a name that an image is to get, which has no digest.
func ParseNewName(name string) (Reference, error) {
	ref, err := ParseReference(name)
	if err == nil && ref.Digest != "" {
		err = fmt.Errorf("%q names an image by its digest, which only its bytes can give it: "+
			"leave out @ and what follows", name)
	}
	return ref, err
}

// splitHost cuts the address off. The part before the first / is one if it is localhost, or if no
// directory of the default registry could have that name.
func splitHost(name string) (host, rest string) {
	host, rest, more := strings.Cut(name, "/")
	switch {
	case more && host == defaultIndex:
		return defaultRegistry, rest
	case more && (host == "localhost" || strings.ContainsAny(host, ".:") ||
		strings.ToLower(host) != host):
		return host, rest
	}
	return defaultRegistry, name
}

// isHost reports whether a text is a name such as a.b-c or [::1], with or without a port.
func isHost(host string) bool {
	if ip, port, is := strings.Cut(host, "]"); is && strings.HasPrefix(ip, "[") {
		return madeOf(ip[1:], hexes+"ABCDEF:") && (port == "" || port[0] == ':' && madeOf(port[1:], digits))
	}
	host, port, hasPort := strings.Cut(host, ":")
	for part := range strings.SplitSeq(host, ".") {
		if !madeOf(part, lower+upper+digits+"-") || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
	}
	return !hasPort || madeOf(port, digits)
}

// isPath reports whether a path is words with slashes between them.
func isPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !isPart(part) {
			return false
		}
	}
	return len(path) <= maxPath
}

// isPart reports whether a text is letters and digits, with a dot, one or two underscores or any
// number of hyphens between two of them.
func isPart(part string) bool {
	for {
		rest := strings.TrimLeft(part, lower+digits)
		between := rest[:len(rest)-len(strings.TrimLeft(rest, "._-"))]
		switch {
		case rest == part || rest != "" && between == "":
			return false
		case rest == "":
			return true
		case between != "." && between != "_" && between != "__" && strings.Trim(between, "-") != "":
			return false
		}
		part = rest[len(between):]
	}
}

func isTag(tag string) bool {
	return len(tag) <= 128 && madeOf(tag, lower+upper+digits+"_.-") &&
		tag[0] != '.' && tag[0] != '-'
}

// ParseHost reads the address of a registry, which may be a URL, as the host of a Reference: "" and
// the other addresses of the default registry become docker.io.
func ParseHost(address string) (string, error) {
	_, host, isURL := strings.Cut(address, "://")
	if !isURL {
		host = address
	}
	host, _, _ = strings.Cut(host, "/")
	if host == "" || host == defaultIndex || host == defaultAPI {
		host = defaultRegistry
	}
	ref, err := ParseReference(host + "/x/y")
	if err != nil || ref.Host != host {
		return "", fmt.Errorf("invalid registry address %q: it is localhost, "+
			"or has a dot or a port, such as registry.example.com and host:5000", address)
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
		return "it is a URL: leave out what precedes the address"
	case hasDigest && digest.Digest(sum).Validate() != nil:
		return "after the @ comes a digest, sha256: and 64 hexadecimal digits in lower case"
	case path == "":
		return "the name before the " + name[:1] + " is missing"
	case hasTag && tag == "":
		return "a tag is missing after the :"
	case hasTag && !isTag(tag):
		return fmt.Sprintf("%q cannot be a tag, which is at most 128 letters, digits, _, . and -, "+
			"and begins with none of the last two", tag)
	case isID(path):
		return "64 hexadecimal digits are an image's ID"
	case len(path) > maxPath:
		return fmt.Sprintf("it has more than %d characters", maxPath)
	case strings.Contains("/"+path+"/", "//"):
		return "something is missing before or after a /"
	}
	return complaintOfPath(splitHost(path))
}

func complaintOfPath(host, path string) string {
	if !isHost(host) {
		return fmt.Sprintf("the address %q must be of letters, digits, dots and hyphens, "+
			"with or without :PORT", host)
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case isPart(part):
		case isPart(strings.ToLower(part)):
			return fmt.Sprintf("%q must be in lower case", part)
		default:
			return fmt.Sprintf("%q must be of lower-case letters and digits, "+
				"with one of . _ __ - between them", part)
		}
	}
	return fmt.Sprintf("%q is not allowed", path)
}

// Official reports whether the image is one that the owners of the default registry maintain.
func (r Reference) Official() bool {
	return r.Host == defaultRegistry && strings.HasPrefix(r.Repository, officialImages)
}

// String is the complete name.
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

// Familiar is the name as Docker shows it, without docker.io/ and library/: the shortest one that
// ParseReference reads as the same. (docker.io/localhost/app stays: localhost/app is elsewhere.)
func (r Reference) Familiar() string {
	name := r.String()
	for _, prefix := range []string{defaultRegistry + "/" + officialImages, defaultRegistry + "/"} {
		short, ok := strings.CutPrefix(name, prefix)
		if again, err := ParseReference(short); ok && err == nil && again == r {
			return short
		}
	}
	return name
}

// CheckPush returns an error if a push to this name cannot work; it says which name would do.
func (r Reference) CheckPush() error {
	name := strings.TrimPrefix(r.Repository, officialImages)
	switch {
	case r.Digest != "":
		return errors.New("a push cannot choose its digest: give a tag, " +
			r.Host + "/" + r.Repository + ":" + cmp.Or(r.Tag, "latest"))
	case r.Official():
		return fmt.Errorf("names without a user, such as %s, are those of the official images, "+
			"and only their makers push them: box tag %s USER/%s:%s, and push that; "+
			"or to another registry, localhost:5000/%s:%s",
			name, r.Familiar(), name, r.Tag, name, r.Tag)
	}
	return nil
}

// CheckDigest returns an error unless d has the form sha256:HEX. The specification allows other
// algorithms, which are not in use.
func CheckDigest(d digest.Digest) error {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("invalid digest %q: blobs and layers are named sha256:HEX", Printable(d.String()))
	}
	return nil
}

// FamiliarOr is the short form of an image's name, or something else if it is not the name of one.
func FamiliarOr(name, other string) string {
	ref, err := ParseReference(name)
	if err != nil {
		return other
	}
	return ref.Familiar()
}
