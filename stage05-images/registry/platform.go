// From a name to the manifest of one platform's image, which is how a pull begins (ManifestFor). A
// tag may name an index, which lists a manifest for each platform, or further indexes. What suits
// a platform best is chosen as containerd does it (image-index.md of the OCI image specification
// leaves it open).

package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage05-images/ocispec"
)

// ParsePlatform parses OS[/ARCH[/VARIANT]] or ARCH[/VARIANT]. "" is this machine's platform, and
// what a text leaves out is this machine's too. Other names of an architecture, such as x86_64 and
// aarch64, become those of Go, and a default variant is left out, as in indexes.
func ParsePlatform(text string) (ocispec.Platform, error) {
	p := ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if strings.Contains(text, ",") {
		return p, fault.Invalid.Errorf("platform %s: one platform at a time; "+
			"give each a command, and a tag, of its own", Printable(text))
	}
	parts := strings.Split(strings.ToLower(text), "/")
	bad := func(part string) bool { return !madeOf(part, lower+digits+"_.-") }
	switch {
	case text == "":
		return p, nil
	case len(parts) > 3 || slices.ContainsFunc(parts, bad):
		return p, fault.Invalid.Errorf("platform %s: give OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64",
			Printable(text))
	case isSystem(parts[0]):
		if p.OS = parts[0]; len(parts) > 1 {
			p.Architecture = parts[1]
		}
		p.Variant = strings.Join(parts[min(2, len(parts)):], "")
	case len(parts) == 3:
		return p, fault.Invalid.Errorf("platform %s: unknown operating system %s", Printable(text), parts[0])
	default:
		p.Architecture, p.Variant = parts[0], strings.Join(parts[1:], "")
	}
	p = normalize(p)
	if len(parts) < 3 && isSystem(p.Architecture) || !isArchitecture(p.Architecture) {
		return p, fault.Invalid.Errorf("platform %s: unknown architecture %s; give OS/ARCH, such as linux/arm64",
			Printable(text), p.Architecture)
	}
	return p, nil
}

func isSystem(word string) bool {
	return slices.Contains(strings.Fields("linux windows darwin freebsd wasi wasip1"), word)
}

func isArchitecture(word string) bool {
	return slices.Contains(strings.Fields("386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle "+
		"ppc64 ppc64le riscv64 s390x wasm"), word)
}

// normalize gives a platform the names of Go. A variant that is the default is left out; for arm,
// where there is none, it is v7.
func normalize(p ocispec.Platform) ocispec.Platform {
	switch p.Architecture {
	case "i386":
		p.Architecture, p.Variant = "386", ""
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	switch {
	case strings.Trim(p.Variant, digits) == "" && p.Variant != "":
		p.Variant = "v" + p.Variant
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	}
	if name := p.Architecture + p.Variant; name == "amd64v1" || name == "arm64v8" {
		p.Variant = ""
	}
	return p
}

// level is the number of a variant such as v3; the default one has a number too.
func level(p ocispec.Platform) int {
	n, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v"))
	switch {
	case p.Variant != "":
		if err != nil {
			return -1
		}
		return n
	case p.Architecture == "arm64":
		return 8
	}
	return 1
}

// suits returns how well a platform of an index suits the wanted one: 0 not at all, else the more
// the better. A processor runs what was built for an older variant of it.
func suits(is, want ocispec.Platform) int {
	is, want = normalize(is), normalize(want)
	if is.OS == want.OS && is.Architecture == "arm" && want.Architecture == "arm64" && runsARM() {
		return level(is) // less than any of its own
	}
	if is.OS != want.OS || is.Architecture != want.Architecture {
		return 0
	}
	most := level(want)
	if want.Architecture == "amd64" && want.Variant == "" && is.Variant != "" {
		most = amd64Level()
	}
	switch n := level(is); {
	case is.Variant == want.Variant:
		return 1000
	case n > 0 && n <= most:
		return n
	}
	return 0
}

// amd64Level is the highest variant of amd64 that this machine's processor has (the x86-64 psABI,
// "Microarchitecture levels"), by the names that the kernel has for what each needs
// (/proc/cpuinfo). The fourth is not asked for: what needs it is built by hand. Package
// golang.org/x/sys/cpu knows this too, and asks the processor at every start of a box; in a virtual
// machine each question goes to the hypervisor.
var amd64Level = sync.OnceValue(func() int {
	text, _ := rawfile.Read("/proc/cpuinfo")
	_, flags, _ := strings.Cut(string(text), "\nflags\t\t: ")
	flags, _, _ = strings.Cut(flags, "\n")
	has := strings.Fields(flags)
	for i, needs := range []string{
		"pni ssse3 sse4_1 sse4_2 popcnt cx16 lahf_lm",
		"avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
	} {
		for need := range strings.FieldsSeq(needs) {
			if !slices.Contains(has, need) {
				return i + 1
			}
		}
	}
	return 3
})

// runsARM reports whether this machine has an arm64 processor that runs programs of 32-bit arm too;
// many do not. The kernel then refuses the personality (personality(2)), which is that of a thread.
var runsARM = func() bool {
	const query, linux32 = 0xffffffff, 8
	if runtime.GOARCH != "arm64" {
		return false
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, _, _ := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	_, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, linux32, 0, 0)
	unix.RawSyscall(unix.SYS_PERSONALITY, old, 0, 0)
	return errno == 0
}

// Suits reports whether an image of a platform is one that was asked for. An image that does not
// say for which platform it is suits all.
func Suits(is, want ocispec.Platform) bool {
	return is.OS == "" && is.Architecture == "" || suits(is, want) > 0
}

// ErrNoImage means that a document describes something that is not an image, such as a signature or
// a note on how an image was built.
var ErrNoImage = errors.New("not an image")

// ManifestFor gets the manifest of an image for a platform. It is Manifest, and if that returns an
// index, Resolve. top is what the reference itself names: the manifest or the index.
func (c *Client) ManifestFor(
	ctx context.Context, ref Reference, platform ocispec.Platform,
) (one ocispec.Descriptor, data []byte, top ocispec.Descriptor, err error) {
	top, data, err = c.Manifest(ctx, ref)
	if err != nil || !isIndex(top) {
		return top, data, top, err
	}
	get := func(d ocispec.Descriptor) ([]byte, error) {
		if !slices.Contains(manifestTypes, d.MediaType) {
			return c.document(ctx, ref.Repository, d)
		}
		named := ref
		named.Digest = d.Digest
		_, data, err := c.Manifest(ctx, named)
		return data, err
	}
	one, data, err = Resolve(top, data, platform, get)
	return one, data, top, err
}

// document gets a small blob.
func (c *Client) document(
	ctx context.Context, repo string, d ocispec.Descriptor,
) ([]byte, error) {
	if d.Size > MaxDocument {
		return nil, fmt.Errorf("blob %s: %d bytes are more than a description may have", d.Digest, d.Size)
	}
	blob, err := c.Blob(ctx, repo, d, nil)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(blob)
	return data, errors.Join(err, blob.Close())
}

// isIndex reports whether a document is OCI's index or Docker's manifest list.
func isIndex(d ocispec.Descriptor) bool {
	return strings.Contains(d.MediaType, "index") || strings.Contains(d.MediaType, "list")
}

const (
	maxDepth = 4  // of indexes in indexes
	maxAsked = 32 // documents that are read to find an image
)

// Resolve finds, from a manifest or an index, the manifest that suits a platform best. get returns
// the bytes of a document: an index, a manifest, or a configuration. Entries of an index that name
// no platform are read if none that names one suits; an image's configuration has its platform.
// Without an image of the platform, the error lists those that there are; without any image it is
// ErrNoImage.
func Resolve(
	d ocispec.Descriptor, data []byte, platform ocispec.Platform,
	get func(ocispec.Descriptor) ([]byte, error),
) (ocispec.Descriptor, []byte, error) {
	if !isIndex(d) {
		return d, data, nil
	}
	s := &selection{want: platform, get: get}
	if err := s.index(d, data, 0); err != nil {
		return d, nil, err
	}
	if s.points > 0 {
		return s.best, s.data, nil
	}
	slices.Sort(s.available)
	s.available = slices.Compact(s.available)
	if len(s.available) == 0 {
		return d, nil, fmt.Errorf("the index %s has no image for any platform: %w", d.Digest, ErrNoImage)
	}
	if n := len(s.available); n > 20 {
		s.available = append(s.available[:20], fmt.Sprintf("and %d more", n-20))
	}
	return d, nil, fmt.Errorf("no image for platform %s; available: %s",
		FormatPlatform(platform), strings.Join(s.available, ", "))
}

// selection is the search for an image of a platform.
type selection struct {
	want      ocispec.Platform
	get       func(ocispec.Descriptor) ([]byte, error)
	best      ocispec.Descriptor
	data      []byte // of best
	points    int
	asked     int
	available []string
}

// index looks through an index: at the entry that suits best by its platform, and if that leads to
// nothing, at all that name none.
func (s *selection) index(d ocispec.Descriptor, data []byte, depth int) error {
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("the index %s: %w", d.Digest, err)
	}
	var best, silent []ocispec.Descriptor
	points := s.points
	for _, d := range index.Manifests {
		switch p := d.Platform; {
		case !slices.Contains(manifestTypes, d.MediaType), isNote(d):
		case isSilent(d):
			silent = append(silent, d)
		case suits(*p, s.want) > points:
			points, best = suits(*p, s.want), []ocispec.Descriptor{d}
			s.available = append(s.available, FormatPlatform(*p))
		default:
			s.available = append(s.available, FormatPlatform(*p))
		}
	}
	if best == nil {
		best = silent
	}
	for _, d := range best {
		if err := s.entry(d, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isNote reports whether an entry is about another one, such as how it was built.
func isNote(d ocispec.Descriptor) bool {
	_, about := d.Annotations["vnd.docker.reference.type"]
	return about || d.Platform != nil && d.Platform.OS == "unknown"
}

// isSilent reports whether an entry leaves open if it is an image, or of which platform: its
// manifest says it. An image may have the type of an artifact too.
func isSilent(d ocispec.Descriptor) bool {
	p := d.Platform
	return p == nil || p.OS == "" && p.Architecture == "" || !isConfig(d.ArtifactType)
}

// entry reads what an entry of an index names.
func (s *selection) entry(d ocispec.Descriptor, depth int) error {
	if s.asked++; s.asked > maxAsked {
		return fmt.Errorf("the index has more than %d entries without a platform", maxAsked)
	}
	data, err := s.get(d)
	if err != nil {
		return err
	}
	if isIndex(d) && depth >= maxDepth {
		return fmt.Errorf("the index %s is the %dth in a row: indexes in indexes end before that",
			d.Digest, depth+1)
	}
	if isIndex(d) {
		return s.index(d, data, depth)
	}
	if isSilent(d) {
		platform, err := s.platformOf(data)
		if errors.Is(err, ErrNoImage) {
			return nil
		}
		if err != nil {
			return err
		}
		s.available = append(s.available, FormatPlatform(platform))
		d.Platform = &platform
	}
	if points := suits(*d.Platform, s.want); points > s.points {
		s.best, s.data, s.points = d, data, points
	}
	return nil
}

// platformOf reads the platform of an image from its configuration.
func (s *selection) platformOf(manifest []byte) (p ocispec.Platform, err error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return p, err
	}
	if !IsImage(m) {
		return p, ErrNoImage
	}
	config, err := s.get(m.Config)
	if err == nil {
		err = json.Unmarshal(config, &p)
	}
	return p, err
}

// IsImage reports whether a manifest is of an image, and not of a signature, a chart or the like:
// those have the same form, and other media types. The type of an artifact says nothing here: an
// image may have one.
func IsImage(m ocispec.Manifest) bool {
	isOther := func(d ocispec.Descriptor) bool {
		return !strings.Contains(d.MediaType, "image.") && d.MediaType != ""
	}
	return isConfig(m.Config.MediaType) && !slices.ContainsFunc(m.Layers, isOther)
}

// isConfig reports whether a media type is that of an image's configuration, or none. As the type
// of an artifact, some tools give that for images too.
func isConfig(mediaType string) bool {
	return mediaType == "" || strings.Contains(mediaType, "image.config") ||
		strings.Contains(mediaType, "container.image")
}

// FormatPlatform returns a platform as OS/ARCH or OS/ARCH/VARIANT, for people.
func FormatPlatform(p ocispec.Platform) string {
	return Printable(strings.TrimSuffix(cmp.Or(p.OS, "unknown")+"/"+cmp.Or(p.Architecture, "unknown")+
		"/"+p.Variant, "/"))
}
