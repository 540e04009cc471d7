package registry

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestNamesOfImages(t *testing.T) {
	for _, c := range []struct {
		name, full, familiar string
		official             bool
	}{
		{"ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest", true},
		{"ubuntu:14.04", "docker.io/library/ubuntu:14.04", "ubuntu:14.04", true},
		{"library/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest", true},
		{"docker.io/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest", true},
		{"index.docker.io/ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest", true},
		{"user/name:tag", "docker.io/user/name:tag", "user/name:tag", false},
		{"host:5000/a/b@" + someDigest, "host:5000/a/b@" + someDigest, "host:5000/a/b@" + someDigest, false},
		{"host:5000/a:1@" + someDigest, "host:5000/a:1@" + someDigest, "host:5000/a:1@" + someDigest, false},
		{"localhost/a", "localhost/a:latest", "localhost/a:latest", false},
		{"HOST/a", "HOST/a:latest", "HOST/a:latest", false},
		{"[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest", false},
		{"host:5000", "docker.io/library/host:5000", "host:5000", true},
		{"docker.io/localhost/a", "docker.io/localhost/a:latest", "docker.io/localhost/a:latest", false},
		{"docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest", false},
	} {
		ref, err := ParseReference(c.name)
		require.NoError(t, err, c.name)
		require.Equal(t, c.full, ref.String(), c.name)
		require.Equal(t, c.familiar, ref.Familiar(), c.name)
		require.Equal(t, c.official, ref.Official(), c.name)
	}
}

func TestBadNamesGetASentence(t *testing.T) {
	for name, want := range map[string]string{
		"":                                      "it is empty",
		"https://host/a":                        "it is a URL",
		"Ubuntu":                                `"Ubuntu" must be in lower case`,
		"user/Name:1":                           `"Name" must be in lower case`,
		"a:":                                    "a tag is missing after the :",
		"a:-x":                                  `"-x" cannot be a tag`,
		"a:" + strings.Repeat("x", 129):         "at most 128",
		"a@sha256:12":                           "64 hexadecimal digits in lower case",
		"a@b@c":                                 "64 hexadecimal digits in lower case",
		":latest":                               "the name before the : is missing",
		"@sha256:" + strings.Repeat("a", 64):    "the name before the @ is missing",
		"a//b":                                  "something is missing before or after a /",
		"/a":                                    "something is missing before or after a /",
		"a/":                                    "something is missing before or after a /",
		"a b":                                   `"a b" must be of lower-case letters and digits`,
		"a/b..c":                                `"b..c" must be of`,
		"../../etc":                             `".." must be of`,
		"host:5000/-a":                          `"-a" must be of`,
		someDigest[7:]:                          "an image's ID",
		"host:5000/" + strings.Repeat("a", 300): "more than 255 characters",
		"hö.st/a":                               `the address "hö.st" must be of`,
		"ho_st:5000/a":                          "the address",
	} {
		_, err := ParseReference(name)
		require.ErrorContains(t, err, want, name)
		require.ErrorContains(t, err, "examples are alpine", name)
	}
}

func TestHosts(t *testing.T) {
	for address, want := range map[string]string{
		"": "docker.io", "docker.io": "docker.io", "https://index.docker.io/v1/": "docker.io", "registry-1.docker.io": "docker.io",
		"localhost:5000": "localhost:5000", "https://r.example.com/v2/": "r.example.com", "[::1]:1": "[::1]:1",
	} {
		host, err := ParseHost(address)
		require.NoError(t, err, address)
		require.Equal(t, want, host, address)
	}
	for _, address := range []string{"user", "..", "a b:1", "host:port", "../..", "x@y.z"} {
		_, err := ParseHost(address)
		require.ErrorContains(t, err, "invalid registry address", address)
	}
}

func TestWhatCannotBePushedTo(t *testing.T) {
	for name, want := range map[string]string{
		"alpine":                 "box tag alpine:latest USER/alpine:latest",
		"host:1/a@" + someDigest: "give a tag, host:1/a:latest",
	} {
		ref, err := ParseReference(name)
		require.NoError(t, err)
		require.ErrorContains(t, ref.CheckPush(), want)
	}
	for _, name := range []string{"user/a", "localhost:5000/a"} {
		ref, err := ParseReference(name)
		require.NoError(t, err)
		require.NoError(t, ref.CheckPush())
	}
}

func FuzzReference(f *testing.F) {
	for _, name := range []string{"alpine", "docker.io/localhost/a", "docker.io/library/a.b/c", "host:5000/a/b:1@" + someDigest, "a@sha512:00", "[::1]:5000/x", "A:B@C/D", ":", "@", "/", "x:/"} {
		f.Add(name)
	}
	for _, name := range []string{"a_b.c/d", "a__b:1/c", "a___b/c", "a.-b/c", "a-.b/c", "a--b/c--d", "[::1]/a", "[::g]/a", "[]:1/a", "x:/a", "X/y", "é.b/c", "a:é", someDigest[7:], someDigest, "a@" + strings.ToUpper(someDigest)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ref, err := ParseReference(name)
		require.Equal(t, referenceByLibrary(name), ref)
		if err != nil {
			require.NotEmpty(t, complaint(name))
			return
		}
		for _, form := range []string{ref.String(), ref.Familiar()} {
			again, err := ParseReference(form)
			require.NoError(t, err, form)
			require.Equal(t, ref, again, form)
		}
		require.NotContains(t, manifestPath(ref), "..")
		host, err := ParseHost(ref.Host)
		require.NoError(t, err)
		require.Equal(t, ref.Host == defaultAPI, host != ref.Host)
	})
}

// referenceByLibrary reads a name with the library whose grammar ours has to be. A name
// without an address, which it makes of one like a_b.c/d, is nobody's.
func referenceByLibrary(name string) (ref Reference) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || reference.Domain(named) == "" {
		return ref
	}
	named = reference.TagNameOnly(named)
	ref = Reference{Host: reference.Domain(named), Repository: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		ref.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		ref.Digest = digest.Digest(digested.Digest())
	}
	return ref
}

// TestNamesMadeOfPieces holds the grammar against the library's on many names that are
// nearly right.
func TestNamesMadeOfPieces(t *testing.T) {
	pieces := []string{"a", "B", "9", ".", "_", "__", "-", "--", "/", ":", "@", "[::1]", "localhost", "docker.io", "index.docker.io", "library", ":5000/", "sha256:", someDigest, "@" + someDigest, "é", " ", strings.Repeat("a", 100)}
	random := rand.New(rand.NewPCG(1, 2))
	good := 0
	for range 50_000 {
		name := ""
		for range 1 + random.IntN(7) {
			name += pieces[random.IntN(len(pieces))]
		}
		ref, err := ParseReference(name)
		require.Equal(t, referenceByLibrary(name), ref, name)
		require.Equal(t, err == nil, ref.Host != "", name)
		good += btoi(err == nil)
	}
	require.Greater(t, good, 1000)
}
