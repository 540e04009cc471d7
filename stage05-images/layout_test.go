package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/ocispec"

	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/progress"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
)

// newStore is an empty one.
func newStore(t testing.TB) Store {
	s := Store{Root: t.TempDir()}
	require.NoError(t, s.openImages())
	return s
}

// tool runs a program that has to succeed, and returns what it prints.
func tool(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return string(out)
}

// sampleLayers are what an image is made of in these tests.
func sampleLayers(t testing.TB) [][]byte {
	return [][]byte{
		tarOf(t, tarDir("etc/"), tarFile("etc/name", "first"), tarFile("etc/gone", "x"), tarLink('2', "link", "etc/name"), tarLink('1', "hard", "etc/name")),
		tarOf(t, tarFile("etc/.wh.gone", ""), tarFile("etc/name", "second")),
	}
}

// dockerManifest is an entry of manifest.json.
type dockerManifest struct {
	Config           string
	RepoTags, Layers []string
}

// dockerArchive is an archive as docker save writes it, with what is said of the layers.
func dockerArchive(t testing.TB, change func(config *oci.Config, m *dockerManifest), layers ...[]byte) []byte {
	config := oci.NewConfig()
	m := dockerManifest{Config: "config.json", RepoTags: []string{"loaded:1"}}
	var entries []tarEntry
	for i, layer := range layers {
		name := fmt.Sprintf("%d/layer.tar", i)
		entries = append(entries, tarFile(name, string(layer)))
		m.Layers = append(m.Layers, name)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(layer))
	}
	if change != nil {
		change(&config, &m)
	}
	for name, value := range map[string]any{"config.json": config, "manifest.json": []dockerManifest{m}} {
		entries = append(entries, tarFile(name, string(jsonOf(t, value))))
	}
	return tarOf(t, entries...)
}

func jsonOf(t testing.TB, value any) []byte {
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return data
}

func zipped(t testing.TB, data []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// shapeOf is what is in a directory.
func shapeOf(t testing.TB, dir string) string { return strings.Join(layerTree(t, dir), "\n") }

// namesOf returns the names of an image, and those by which a registry has it.
func namesOf(s Store, image *oci.Image) (tags, digests []string, err error) {
	all, err := s.layout().Images()
	tags, digests = imageview.Names(image, all)
	return tags, digests, err
}

// storeOf is everything in the parts of a store that are about images.
func storeOf(t testing.TB, s Store) string {
	return shapeOf(t, s.path("images", "blobs")) + shapeOf(t, s.path("images", "partial")) + shapeOf(t, s.path("layers")) + tool(t, "cat", s.path("images/index.json"))
}

func TestLoadsWhatOthersSave(t *testing.T) {
	tools(t, "skopeo", "umoci")
	s := newStore(t)
	names, err := s.load(bytes.NewReader(zipped(t, dockerArchive(t, nil, sampleLayers(t)...))))
	require.NoError(t, err)
	require.Equal(t, []string{"loaded:1"}, names)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)

	dir := t.TempDir()
	layout := "oci:" + s.path("images") + ":docker.io/library/loaded:1"
	tool(t, "skopeo", "copy", "-q", layout, "oci:"+dir+"/layout:x")
	unpack := []string{"umoci", "unpack", "--image", dir + "/layout:x", dir + "/bundle"}
	if os.Geteuid() != 0 {
		unpack = append(unpack[:2:2], append([]string{"--rootless"}, unpack[2:]...)...)
	}
	tool(t, unpack...)
	require.Equal(t, "second", tool(t, "cat", dir+"/bundle/rootfs/etc/name"))
	require.NoFileExists(t, dir+"/bundle/rootfs/etc/gone")

	for kind, want := range map[string]string{"docker-archive": "others:2", "oci-archive": "others:2"} {
		file := filepath.Join(dir, kind)
		tool(t, "skopeo", "copy", "-q", layout, kind+":"+file+":docker.io/library/others:2")
		in, err := os.Open(file)
		require.NoError(t, err)
		other := newStore(t)
		names, err := other.load(in)
		require.NoError(t, err, kind)
		require.NoError(t, in.Close())
		require.Equal(t, []string{want}, names)
		same, err := other.layout().Find(want)
		require.NoError(t, err)
		require.Equal(t, image.Config.RootFS, same.Config.RootFS)
		require.Equal(t, shapeOf(t, s.path("layers")), shapeOf(t, other.path("layers")))
	}
}

func TestSaveAndLoad(t *testing.T) {
	tools(t, "skopeo")
	s, other := newStore(t), newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	var archive, again bytes.Buffer
	require.NoError(t, s.save(&archive, []string{"loaded:1"}))
	require.NoError(t, s.save(&again, []string{"loaded:1"}))
	require.Equal(t, archive.Bytes(), again.Bytes())
	_, err = other.load(bytes.NewReader(archive.Bytes()))
	require.NoError(t, err)
	require.Equal(t, storeOf(t, s), storeOf(t, other))

	file := filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.WriteFile(file, archive.Bytes(), 0o644))
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	kinds := []string{"docker-archive", "oci-archive"}
	if os.Geteuid() != 0 {
		kinds = kinds[:1] // skopeo gives what it unpacks to root
	}
	for _, kind := range kinds {
		require.Equal(t, image.ID.String(), strings.TrimSpace(digestOfConfig(t, kind+":"+file)))
	}
}

// TestSavedNames saves an image by a name that is also the beginning of its id, and by that.
func TestSavedNames(t *testing.T) {
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	id := image.ID.Encoded()
	ref, err := registry.ParseReference(id[:4])
	require.NoError(t, err)
	require.NoError(t, s.layout().Tag(image.Manifest, ref.String()))
	for name, want := range map[string]string{id[:4]: `"RepoTags":["` + id[:4] + `:latest"]`, id[:12]: `"RepoTags":[]`, image.ID.String(): `"RepoTags":[]`} {
		var archive bytes.Buffer
		require.NoError(t, s.save(&archive, []string{name}))
		require.Contains(t, archive.String(), want)
	}
}

// TestNamesWithDigests shows an image that was pulled by its digest as Docker does.
func TestNamesWithDigests(t *testing.T) {
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, func(_ *oci.Config, m *dockerManifest) { m.RepoTags = []string{"h:5/a:1", "h:5/a:2"} }, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("h:5/a:1")
	require.NoError(t, err)
	require.NoError(t, s.layout().Tag(image.Manifest, "h:5/b@"+someDigest))
	require.NoError(t, s.layout().Tag(image.Manifest, "h:5/c:3@"+someDigest))
	all, err := s.layout().Images()
	require.NoError(t, err)
	require.Equal(t, [][2]string{{"h:5/a", "1"}, {"h:5/a", "2"}, {"h:5/b", "<none>"}, {"h:5/c", "3"}}, all[0].Familiar())
	tags, digests, err := namesOf(s, image)
	require.NoError(t, err)
	require.Equal(t, []string{"h:5/a:1", "h:5/a:2"}, tags)
	require.Equal(t, []string{"h:5/b@" + someDigest, "h:5/c@" + someDigest}, digests)
}

// digestOfConfig is an image's id as skopeo computes it.
func digestOfConfig(t testing.TB, image string) string {
	return digest.FromBytes([]byte(strings.TrimSuffix(tool(t, "skopeo", "inspect", "--config", "--raw", image), "\n"))).String()
}

// TestUnusualLayers loads layers that begin in ways which other tools' may.
func TestUnusualLayers(t *testing.T) {
	noise := tarOf(t, tarFile("noise", string(randomBytes(t, 300_000))))
	nothing := make([]byte, 1024)
	long := tarFile("long", "x")
	long.PAXRecords = map[string]string{"comment": strings.Repeat("x", 100_000)}
	for what, c := range map[string]struct{ layer, packed []byte }{
		"nothing":              {nothing, nothing},
		"nothing, with gzip":   {nothing, zipped(t, nothing)},
		"an empty file":        {[]byte{}, []byte{}}, // docker load takes it
		"noise, with zstd":     {noise, filtered(t, noise, "zstd", "-c")},
		"a header of 100 KB":   {tarOf(t, long), tarOf(t, long)},
		"a zstd frame to skip": {noise, append([]byte("\x50\x2a\x4d\x18\x02\x00\x00\x00xx"), filtered(t, noise, "zstd", "-c")...)},
	} {
		t.Run(what, func(t *testing.T) {
			archive := dockerArchive(t, func(config *oci.Config, _ *dockerManifest) { config.RootFS.DiffIDs[0] = digest.FromBytes(c.layer) }, c.packed)
			_, err := newStore(t).load(bytes.NewReader(archive))
			require.NoError(t, err)
		})
	}
}

// TestPullOfAnEmptyBlob holds that a layer of no bytes is an empty layer.
func TestPullOfAnEmptyBlob(t *testing.T) {
	fake, empty := fakeRegistry{}, blobOf(nil)
	fake.image(t, "app", func(c *oci.Config, m *ocispec.Manifest) {
		m.Layers[1], c.RootFS.DiffIDs[1] = empty, empty.Digest
	}, sampleLayers(t)...)
	fake["/v2/app/blobs/"+empty.Digest.String()] = []byte{}
	s := newStore(t)
	image, err := pullFrom(t, s, fake.serve(t)+"/app")
	require.NoError(t, err)
	dirs, err := s.layers().Stack(image)
	require.NoError(t, err)
	require.Len(t, dirs, 2)
	require.Empty(t, shapeOf(t, dirs[1]))
}

// TestHostileArchives holds that what is refused leaves no trace.
func TestHostileArchives(t *testing.T) {
	boxtest.Slow(t)
	layers := sampleLayers(t)
	layoutOf := func(index ocispec.Index, more ...tarEntry) []byte {
		return tarOf(t, append(more, tarFile("index.json", string(jsonOf(t, index))))...)
	}
	indexOf := func(d ...ocispec.Descriptor) ocispec.Index { return ocispec.Index{Manifests: d} }
	manifest := jsonOf(t, ocispec.Manifest{Config: ocispec.Descriptor{Digest: "x"}})
	for what, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"nothing":                    {nil, "neither manifest.json nor index.json"},
		"no archive":                 {[]byte(strings.Repeat("nonsense", 200)), "not an archive of docker save"},
		"a layer alone":              {layers[0], "neither manifest.json nor index.json"},
		"cut short":                  {dockerArchive(t, nil, layers...)[:2048], ""},
		"a diff id that lies":        {dockerArchive(t, func(c *oci.Config, _ *dockerManifest) { c.RootFS.DiffIDs[1] = someDigest }, layers...), "the layer that should be " + someDigest},
		"a diff id too few":          {dockerArchive(t, func(c *oci.Config, _ *dockerManifest) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[1:] }, layers...), "2 layers, and its configuration 1"},
		"a layer that is not there":  {dockerArchive(t, func(_ *oci.Config, m *dockerManifest) { m.Layers[1] = "../../etc/passwd" }, layers...), "does not contain it"},
		"a layer that is none":       {dockerArchive(t, func(_ *oci.Config, m *dockerManifest) { m.Layers[1] = "config.json" }, layers...), "has no layer"},
		"a bad name":                 {dockerArchive(t, func(_ *oci.Config, m *dockerManifest) { m.RepoTags = []string{"../x"} }, layers...), "invalid image name"},
		"links in a circle":          {tarOf(t, tarLink('2', "a", "b"), tarLink('2', "b", "a"), tarFile("manifest.json", `[{"Config":"a"}]`)), "leads nowhere"},
		"a manifest of 5 MiB":        {tarOf(t, tarFile("manifest.json", strings.Repeat(" ", 5<<20))), "a description is at most 4 MiB"},
		"many descriptions":          {tarOf(t, manyFiles(9, 4<<20-1)...), "other than layers are larger than 32 MiB"},
		"a manifest of another type": {tarOf(t, tarFile("manifest.json", `{}`)), "manifest.json"},
		"a digest that is none":      {layoutOf(indexOf(ocispec.Descriptor{Digest: "nonsense"})), "invalid digest"},
		"a digest with a path":       {layoutOf(indexOf(ocispec.Descriptor{Digest: "sha256:../../../etc/passwd"})), "invalid digest"},
		"a digest that lies":         {layoutOf(indexOf(ocispec.Descriptor{Digest: someDigest}), tarFile("blobs/sha256/"+someDigest[7:], "{}")), "has other bytes"},
		"a config without a digest":  {layoutOf(indexOf(blobOf(manifest)), tarFile("blobs/sha256/"+blobOf(manifest).Digest.Encoded(), string(manifest))), "invalid digest"},
		"a layer that wants memory":  {dockerArchive(t, nil, filtered(t, layers[0], "zstd", "-c", "--long=31")), "window size exceeded"},
		"a layer compressed twice":   {dockerArchive(t, nil, zipped(t, filtered(t, layers[0], "zstd", "-c"))), "it was compressed twice, with zstd and then with gzip"},
		"a hostile layer":            {dockerArchive(t, nil, tarOf(t, tarFile("../x", ""))), "leads out"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStore(t)
			_, err := s.load(bytes.NewReader(dockerArchive(t, nil, layers[0])))
			require.NoError(t, err)
			before := storeOf(t, s)
			_, err = s.load(bytes.NewReader(c.archive))
			require.ErrorContains(t, err, c.says)
			require.Equal(t, before, storeOf(t, s))
		})
	}
}

func manyFiles(n, size int) (list []tarEntry) {
	for i := range n {
		list = append(list, tarFile(fmt.Sprint(i), strings.Repeat(" ", size)))
	}
	return list
}

// fakeRegistry serves what it is given by path.
type fakeRegistry map[string][]byte

func (f fakeRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	data, known := f[req.URL.Path]
	if !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if strings.Contains(req.URL.Path, "/manifests/") {
		kind := struct{ MediaType string }{ocispec.MediaTypeImageManifest}
		json.Unmarshal(data, &kind) // some are not JSON, on purpose
		w.Header().Set("Content-Type", kind.MediaType)
	}
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}

// image puts an image into it, with what a test changes.
func (f fakeRegistry) image(t testing.TB, name string, change func(*oci.Config, *ocispec.Manifest), layers ...[]byte) {
	config, m := oci.NewConfig(), ocispec.Manifest{}
	m.SchemaVersion = 2
	for _, layer := range layers {
		packed := zipped(t, layer)
		d := blobOf(packed)
		f["/v2/"+name+"/blobs/"+d.Digest.String()] = packed
		m.Layers, config.RootFS.DiffIDs = append(m.Layers, d), append(config.RootFS.DiffIDs, digest.FromBytes(layer))
	}
	if change != nil {
		change(&config, &m)
	}
	data := jsonOf(t, config)
	if m.Config.Digest == "" {
		m.Config = blobOf(data)
	}
	f["/v2/"+name+"/blobs/"+m.Config.Digest.String()] = data
	f["/v2/"+name+"/manifests/latest"] = jsonOf(t, m)
}

// serve starts the server and returns its address.
func (f fakeRegistry) serve(t testing.TB) string {
	f["/v2/"] = nil
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func pullFrom(t *testing.T, s Store, name string) (*oci.Image, error) {
	ref, err := registry.ParseReference(name)
	require.NoError(t, err)
	return s.pull(t.Context(), ref, "", registrycli.Remote{}, progress.New(os.Stderr, true, false))
}

// TestHostileImages holds that what is refused gets no name, and that what it has left is
// garbage.
func TestHostileImages(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	noConfig(t)
	layers := sampleLayers(t)
	fake := fakeRegistry{}
	says := map[string]string{}
	bad := func(name, text string, change func(*oci.Config, *ocispec.Manifest)) {
		fake.image(t, name, change, layers...)
		says[name] = text
	}
	bad("layer", "invalid digest", func(_ *oci.Config, m *ocispec.Manifest) { m.Layers[1].Digest = "x" })
	bad("config", "invalid digest", func(_ *oci.Config, m *ocispec.Manifest) { m.Config.Digest = "x" })
	bad("diffid", "invalid digest", func(c *oci.Config, _ *ocispec.Manifest) { c.RootFS.DiffIDs[0] = "sha256:../x" })
	bad("lies", "the layer that should be "+someDigest, func(c *oci.Config, _ *ocispec.Manifest) { c.RootFS.DiffIDs[1] = someDigest })
	bad("size", "the manifest says 7", func(_ *oci.Config, m *ocispec.Manifest) { m.Layers[1].Size = 7 })
	bad("many", "has 1 layers, and its configuration names 2", func(_ *oci.Config, m *ocispec.Manifest) { m.Layers = m.Layers[1:] })
	bad("bigconfig", "the maximum is 4 MiB", func(_ *oci.Config, m *ocispec.Manifest) {
		m.Config = ocispec.Descriptor{Digest: someDigest, Size: 1 << 30}
	})
	bad("swapped", "the layer that should be", func(_ *oci.Config, m *ocispec.Manifest) { m.Layers[0], m.Layers[1] = m.Layers[1], m.Layers[0] })
	bad("bytes", "other bytes", func(_ *oci.Config, m *ocispec.Manifest) {
		wrong := zipped(t, layers[0])
		wrong[len(wrong)-20] ^= 1
		m.Layers[0].Digest = digest.FromString("anything")
		fake["/v2/bytes/blobs/"+m.Layers[0].Digest.String()] = zipped(t, layers[0])
	})
	fake["/v2/huge/manifests/latest"] = bytes.Repeat([]byte(" "), 5<<20)
	says["huge"] = "larger than 4 MiB"
	fake["/v2/html/manifests/latest"] = []byte("<html>")
	says["html"] = "not JSON"
	address := fake.serve(t)
	for name, text := range says {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			_, err := s.load(bytes.NewReader(dockerArchive(t, nil, tarOf(t, tarFile("mine", "mine")))))
			require.NoError(t, err)
			before := storeOf(t, s)
			for range 2 { // a second time, with what the first has left
				_, err = pullFrom(t, s, address+"/"+name)
				require.ErrorContains(t, err, text)
			}
			require.NoError(t, s.collect())
			require.Equal(t, before, storeOf(t, s))
		})
	}
}

// TestFirstErrorEndsAPull: a layer that stands still does not hold up what is known already.
func TestFirstErrorEndsAPull(t *testing.T) {
	noConfig(t)
	fake := fakeRegistry{}
	var gone, still string
	fake.image(t, "app", func(_ *oci.Config, m *ocispec.Manifest) {
		gone, still = "/v2/app/blobs/"+m.Layers[0].Digest.String(), "/v2/app/blobs/"+m.Layers[1].Digest.String()
	}, sampleLayers(t)...)
	delete(fake, gone)
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case still:
			close(begun)
			<-req.Context().Done()
		case gone:
			<-begun
			fallthrough
		default:
			fake.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(server.Close)
	fake["/v2/"] = nil
	_, err := pullFrom(t, newStore(t), strings.TrimPrefix(server.URL, "http://")+"/app")
	require.ErrorContains(t, err, "404 Not Found")
	require.ErrorContains(t, err, gone)
}

// TestPullAgain pulls what is here, all of it or not.
func TestPullAgain(t *testing.T) {
	noConfig(t)
	fake := fakeRegistry{}
	fake.image(t, "app", nil, sampleLayers(t)...)
	name := fake.serve(t) + "/app"
	s := newStore(t)
	image, err := pullFrom(t, s, name)
	require.NoError(t, err)
	require.True(t, s.layers().IsHere(image.Manifest))
	whole := storeOf(t, s)
	for _, gone := range []string{s.layers().Path(image.Config.RootFS.DiffIDs[1]), s.layout().Path(image.Blobs[0].Digest), s.layout().Path(image.ID)} {
		require.NoError(t, os.RemoveAll(gone))
		require.False(t, s.layers().IsHere(image.Manifest))
		_, err = pullFrom(t, s, name)
		require.NoError(t, err)
		require.Equal(t, whole, storeOf(t, s))
	}
	require.NoError(t, s.untag(image, []string{name + ":latest"}))
	require.False(t, s.layers().IsHere(image.Manifest), "nothing says that it was held against its digests")
}

// TestWrongBlobForALayerThatIsHere: an image cannot say of any blob that it is a layer which
// somebody else has brought.
func TestWrongBlobForALayerThatIsHere(t *testing.T) {
	noConfig(t)
	layers := sampleLayers(t)
	fake := fakeRegistry{}
	fake.image(t, "good", nil, layers[0])
	fake.image(t, "twin", func(c *oci.Config, _ *ocispec.Manifest) { c.Author = "another" }, layers[0])
	fake.image(t, "bad", func(c *oci.Config, _ *ocispec.Manifest) { c.RootFS.DiffIDs[0] = digest.FromBytes(layers[0]) }, layers[1])
	address := fake.serve(t)
	s := newStore(t)
	_, err := pullFrom(t, s, address+"/good")
	require.NoError(t, err)
	_, err = pullFrom(t, s, address+"/bad")
	require.ErrorContains(t, err, "the layer that should be")

	s.limits = layer.LimitFlags{MaxLayerSize: -1, MaxLayerFiles: -1}
	_, err = pullFrom(t, s, address+"/twin")
	require.NoError(t, err, "any size")
}

func TestPullAndPush(t *testing.T) {
	tools(t, "skopeo")
	noConfig(t)
	address := boxtest.StartRegistry(t, "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) // skopeo's credentials
	s, other := newStore(t), newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	name := address + "/user/app:1"
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	require.NoError(t, s.layout().Tag(image.Manifest, name))

	push := func() string {
		_, stderr, status := run(t, "push", "--explain", "--root", s.Root, name)
		require.Zero(t, status, stderr)
		return stderr
	}
	require.Contains(t, push(), "POST ")
	again := push()
	require.NotContains(t, again, "POST ")
	require.Equal(t, 1, strings.Count(again, "PUT "), "the manifest")

	pulled, err := pullFrom(t, other, name)
	require.NoError(t, err)
	require.Equal(t, image.ID, pulled.ID)
	require.Equal(t, snapshotOfDirs(t, s, image), snapshotOfDirs(t, other, pulled))

	tool(t, "skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", "v2s2", "docker://"+name, "docker://"+address+"/user/docker:2")
	docker, err := pullFrom(t, other, address+"/user/docker:2")
	require.NoError(t, err)
	require.Equal(t, image.Config.RootFS, docker.Config.RootFS)
	_, origins, err := namesOf(other, docker)
	require.NoError(t, err)
	origins = slices.DeleteFunc(origins, func(o string) bool { return !strings.Contains(o, "user/docker@") })
	require.Len(t, origins, 1)
	require.NotContains(t, origins[0], docker.Manifest.Digest, "Docker's notation")
	require.Contains(t, tool(t, "skopeo", "inspect", "--tls-verify=false", "docker://"+origins[0]), "Layers")
	same, err := pullFrom(t, other, origins[0])
	require.NoError(t, err, "what inspect shows can be pulled")
	require.Equal(t, docker.ID, same.ID)
	found, err := other.layout().Find(origins[0])
	require.NoError(t, err)
	require.Equal(t, docker.ID, found.ID)
	tool(t, "skopeo", "copy", "-q", "oci:"+other.path("images")+":"+address+"/user/docker:2", "oci:"+t.TempDir()+":x")

	digested, err := pullFrom(t, other, address+"/user/app@"+pulled.Manifest.Digest.String())
	require.NoError(t, err)
	require.Equal(t, pulled.ID, digested.ID)
	_, err = pullFrom(t, other, address+"/user/none")
	require.ErrorContains(t, err, "404")
}

// snapshotOfDirs are the unpacked layers of an image.
func snapshotOfDirs(t testing.TB, s Store, image *oci.Image) (all []string) {
	dirs, err := s.layers().Stack(image)
	require.NoError(t, err)
	for _, dir := range dirs {
		all = append(all, shapeOf(t, dir))
	}
	return all
}

// TestKilledPulls kills pulls at random instants, twenty or in the long form a hundred.
// Whatever they leave, no image is wrong, and the next pull goes on.
func TestKilledPulls(t *testing.T) {
	boxtest.Slow(t)
	noConfig(t)
	var layers [][]byte
	random, kills := boxtest.Random(t), 20
	if boxtest.Long() {
		kills = 100
	}
	for i := range 4 {
		noise := make([]byte, 1<<20)
		for j := range noise {
			noise[j] = byte(random.Uint32())
		}
		layers = append(layers, tarOf(t, tarFile("noise", string(noise)), tarFile(fmt.Sprint("file", i), "x")))
	}
	fake := fakeRegistry{}
	fake.image(t, "app", nil, layers...)
	name := fake.serve(t) + "/app"
	whole := newStore(t)
	image, err := pullFrom(t, whole, name)
	require.NoError(t, err)
	want := snapshotOfDirs(t, whole, image)

	s, begun := newStore(t), time.Now()
	require.True(t, pullFor(time.Hour, newStore(t), name))
	lasts := time.Since(begun)
	killed, finished := 0, 0
	for killed < kills {
		var pair sync.WaitGroup
		var both [2]bool
		for i := range both {
			patience := time.Duration(random.Int64N(int64(lasts + lasts/4)))
			pair.Go(func() { both[i] = pullFor(patience, s, name) })
		}
		pair.Wait()
		for _, ended := range both {
			if ended {
				finished++
			} else {
				killed++
			}
		}
		if got, err := s.layout().Find(name); err == nil {
			require.Equal(t, want, snapshotOfDirs(t, s, got))
			require.NoError(t, s.untag(got, got.Names))
			if random.IntN(2) == 0 {
				require.NoError(t, s.collect())
			}
		} else {
			require.ErrorIs(t, err, oci.ErrNoImage)
		}
	}
	got, err := pullFrom(t, s, name)
	require.NoError(t, err)
	require.Equal(t, want, snapshotOfDirs(t, s, got))
	require.NoError(t, s.collect())
	require.Equal(t, storeOf(t, whole), storeOf(t, s))
	t.Logf("%d killed, %d finished", killed, finished)
}

// pullFor pulls, and kills that after a time. It tells whether the pull was faster.
func pullFor(patience time.Duration, s Store, name string) bool {
	cmd := exec.Command(box, "pull", "-q", "--root", s.Root, name)
	if cmd.Start() != nil {
		return false
	}
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	return cmd.Wait() == nil
}

func TestGarbage(t *testing.T) {
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	full := storeOf(t, s)
	require.NoError(t, s.collect())
	require.Equal(t, full, storeOf(t, s), "an image is not garbage")

	done, err := s.using()
	require.NoError(t, err)
	require.NoError(t, s.untag(image, image.Names))
	before := storeOf(t, s)
	require.NoError(t, s.collect())
	require.Equal(t, before, storeOf(t, s), "somebody is at work")
	require.NoError(t, done())

	require.NoError(t, s.layout().Tag(image.Manifest, "docker.io/library/loaded:1"))
	require.NoError(t, os.WriteFile(s.layout().Path(image.ID), []byte("damaged"), 0o644))
	require.ErrorContains(t, s.collect(), "is damaged")
	_, stderr, status := run(t, "rmi", "--root", s.Root, "loaded:1")
	require.Zero(t, status, stderr)
	require.Equal(t, storeOf(t, newStore(t)), storeOf(t, s), "nothing is left")
}

// A note beside a layer is written without a word to the collector, which lets it be.
func TestGarbageAmongNotes(t *testing.T) {
	s := newStore(t)
	require.NoError(t, s.openImages())
	note, err := state.Create(s.path("layers"))
	require.NoError(t, err)
	require.NoError(t, s.collect())
	require.NoError(t, note.Commit(s.path("layers/note.json"), 0o644, state.Volatile))
}

// What -o names is written as a whole: the file that a link leads to, and nothing but a file.
func TestSaveToAFile(t *testing.T) {
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	dir := t.TempDir()
	file, link, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	require.NoError(t, os.Symlink("file", link))
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	_, stderr, status := run(t, "save", "--root", s.Root, "-o", link, "loaded:1")
	require.Zero(t, status, stderr)
	info, err := os.Lstat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "its mode stays")
	require.Greater(t, info.Size(), int64(1000))
	to, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "file", to)
	_, stderr, status = run(t, "save", "--root", s.Root, "-o", dir, "loaded:1")
	require.Equal(t, 1, status)
	require.Equal(t, "box: output file \""+dir+"\": it is a directory; give a regular file, a FIFO, or - for standard output\n", stderr)

	reader := exec.Command("wc", "-c", fifo)
	var count bytes.Buffer
	reader.Stdout = &count
	require.NoError(t, reader.Start())
	_, stderr, status = run(t, "save", "--root", s.Root, "-o", fifo, "loaded:1")
	require.Zero(t, status, stderr)
	require.NoError(t, reader.Wait())
	require.Regexp(t, `^\d{4,} `, count.String(), "a FIFO is written to")
	info, err = os.Lstat(fifo)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	_, _, status = run(t, "save", "--root", s.Root, "-o", file, "missing:1")
	require.NotZero(t, status)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 3, "nothing is left of the one that failed")
}

// TestZeroIsNoLimit loads a layer with limits of 0, which are none.
func TestZeroIsNoLimit(t *testing.T) {
	s, file := newStore(t), filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.WriteFile(file, dockerArchive(t, nil, sampleLayers(t)...), 0o644))
	_, stderr, status := run(t, "load", "--root", s.Root, "--max-layer-size", "0", "--max-layer-files", "0", "-i", file)
	require.Zero(t, status, stderr)
}

// TestLimitsOfARun pulls an image that is larger than the flags of run allow.
func TestLimitsOfARun(t *testing.T) {
	boxtest.Turn(t, 0, 4)
	noConfig(t)
	s, other := newStore(t), newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	name := boxtest.StartRegistry(t, "") + "/user/app:1"
	require.NoError(t, s.layout().Tag(image.Manifest, name))
	_, stderr, status := run(t, "push", "--root", s.Root, name)
	require.Zero(t, status, stderr)
	for flag, says := range map[string]string{
		"--max-layer-size":  "larger than 1 B: if you trust it, allow more with --max-layer-size",
		"--max-layer-files": "more than 1 files and directories: if you trust it, allow more with --max-layer-files",
	} {
		_, stderr, status := run(t, "run", "--root", other.Root, "--rm", flag, "1", name)
		require.Equal(t, 125, status)
		require.Contains(t, stderr, says)
	}
	_, stderr, _ = run(t, "run", "--root", other.Root, "--rm", name, "/no/such/program")
	require.Contains(t, stderr, "execve", "the control: without limits the image is here")
	repository := strings.TrimSuffix(name, ":1")
	found, stderr, status := run(t, "search", "--format", "{{.Name}} {{.StarCount}}", repository)
	require.Zero(t, status, stderr)
	require.Equal(t, repository+" 0\n", found)
}

// TestMountedImages mounts an image that is not here yet, and parts of it.
func TestMountedImages(t *testing.T) {
	boxtest.Turn(t, 0, 4)
	noConfig(t)
	s, other := newStore(t), newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	name := boxtest.StartRegistry(t, "") + "/user/app:1"
	require.NoError(t, s.layout().Tag(image.Manifest, name))
	_, stderr, status := run(t, "push", "--root", s.Root, name)
	require.Zero(t, status, stderr)
	shown := func(options, path string, flags ...string) (string, string, int) {
		args := append([]string{"run", "--root", other.Root, "--rm", "--mount", "type=image,src=" + name + ",dst=/m" + options}, flags...)
		return run(t, append(args, "tiny", "cat", path)...)
	}
	_, stderr, status = shown("", "/m/etc/name", "--pull", "never")
	require.Equal(t, 125, status)
	require.Contains(t, stderr, "no such image here")
	for _, c := range [][2]string{{"", "/m/etc/name"}, {"", "/m/link"}, {",image-subpath=etc", "/m/name"}, {",image-subpath=etc/name", "/m"}, {",image-subpath=link", "/m"}} {
		stdout, stderr, status := shown(c[0], c[1])
		require.Zero(t, status, stderr)
		require.Equal(t, "second", stdout, c)
	}
	for _, bad := range []string{",image-subpath=none", ",image-subpath=../x", ",image-subpath=etc/gone"} {
		_, _, status := shown(bad, "/m")
		require.Equal(t, 125, status, bad)
	}
}

// TestMountedImagesOfAPlatform mounts an image of an index: it is the one for this machine. One for
// another that is here already is mounted, as by Docker, and not without a word.
func TestMountedImagesOfAPlatform(t *testing.T) {
	boxtest.Turn(t, 1, 4)
	noConfig(t)
	fake := fakeRegistry{}
	fake.platforms(t, "app", "linux/s390x", "linux/"+runtime.GOARCH)
	s, name := newStore(t), fake.serve(t)+"/app"
	for _, c := range []struct{ pulled, warns string }{{"", ""}, {"linux/s390x", "warning: the image is for linux/s390x, not linux/" + runtime.GOARCH}} {
		arch := runtime.GOARCH
		if c.pulled != "" {
			_, stderr, status := run(t, "pull", "--root", s.Root, "--platform", c.pulled, name)
			require.Zero(t, status, stderr)
			_, arch, _ = strings.Cut(c.pulled, "/")
		}
		stdout, stderr, status := run(t, "run", "--root", s.Root, "--rm", "--mount", "type=image,src="+name+",dst=/m", "tiny", "cat", "/m/etc/name")
		require.Zero(t, status, stderr)
		require.Equal(t, "second", stdout)
		require.Equal(t, c.warns != "", strings.Contains(stderr, "warning"), stderr)
		require.Contains(t, stderr, c.warns)
		image, err := s.layout().Find(name)
		require.NoError(t, err)
		require.Equal(t, arch, image.Config.Architecture)
	}
}

// TestDamagedBlobs damages each blob of an image: what would be written or sent of it is refused by
// the file's name, and nothing is left of it.
func TestDamagedBlobs(t *testing.T) {
	boxtest.Turn(t, 2, 4)
	noConfig(t)
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	name := boxtest.StartRegistry(t, "") + "/user/app:1"
	require.NoError(t, s.layout().Tag(image.Manifest, name))
	refused := func(d digest.Digest, args ...string) {
		_, stderr, status := run(t, append(args, "--root", s.Root, name)...)
		require.Equal(t, map[bool]int{true: 125, false: 1}[args[0] == "run"], status, stderr)
		require.Contains(t, stderr, "is damaged: remove "+s.layout().Path(d)+", and pull or load its image again")
	}
	damages := map[string]func(whole []byte) []byte{
		"cut": func(whole []byte) []byte { return whole[:len(whole)-1] }, "other": func(whole []byte) []byte { return append([]byte{whole[0] ^ 1}, whole[1:]...) },
		"longer": func(whole []byte) []byte { return append(whole, 0) }, "empty": func([]byte) []byte { return nil },
	}
	dir := t.TempDir()
	for _, d := range []digest.Digest{image.Manifest.Digest, image.ID, image.Blobs[0].Digest, image.Blobs[1].Digest} {
		whole, err := os.ReadFile(s.layout().Path(d))
		require.NoError(t, err)
		for _, damage := range damages {
			require.NoError(t, os.WriteFile(s.layout().Path(d), damage(bytes.Clone(whole)), 0o644))
			refused(d, "save", "-o", filepath.Join(dir, "archive"))
			refused(d, "push")
		}
		require.NoError(t, os.WriteFile(s.layout().Path(d), whole, 0o644))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, s.layout().Tag(image.Manifest, name))
	d, err := s.layers().Compress(image.Blobs[0].Digest)
	require.NoError(t, err)
	for _, data := range [][]byte{[]byte("x"), randomBytes(t, int(d.Size))} {
		require.NoError(t, os.WriteFile(s.layout().Path(d.Digest), data, 0o644))
		refused(d.Digest, "push")
	}
}

// TestHalfMade holds that what a box was killed over goes with the next one, and what one is
// at work on stays.
func TestHalfMade(t *testing.T) {
	s := newStore(t)
	pending := "/.new-" + strings.Repeat("A", 26)
	begun := []string{s.path("images/partial" + pending), s.path("images" + pending), s.path("layers" + pending), s.path("images/partial/layer-1/a/b"), s.path("images/partial/layer-1.owners")}
	resumable := s.path("images/partial", strings.Repeat("a", 64))
	done, err := s.using()
	require.NoError(t, err)
	for _, name := range append(begun, resumable) {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, nil, 0o644))
	}
	other, err := s.using()
	require.NoError(t, err)
	require.FileExists(t, begun[0])
	require.NoError(t, errors.Join(done(), other()))
	done, err = s.using()
	require.NoError(t, err)
	left, err := os.ReadDir(s.path("images/partial"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.FileExists(t, resumable)
	other, err = s.using() // at the same time, as ever
	require.NoError(t, errors.Join(err, done(), other()))
}

// TestUnsyncedLayers holds that a layer which an earlier boot of the machine had not brought to the
// disk is removed, mark last, and that one of this boot is there until an image is named.
func TestUnsyncedLayers(t *testing.T) {
	s := newStore(t)
	earlier, current := digest.FromString("earlier"), digest.FromString("current")
	require.NoError(t, s.openImages())
	for _, name := range []digest.Digest{earlier, current} {
		build := s.path("images/partial/layer-1")
		require.NoError(t, os.MkdirAll(build, 0o755))
		require.NoError(t, s.layers().Keep(build, name))
	}
	mark := func(d digest.Digest) string { return s.layers().Path(d) + ".unsynced" }
	require.NoError(t, os.Remove(mark(earlier)))
	require.NoError(t, os.Symlink("another-boot", mark(earlier)))
	require.NoError(t, os.WriteFile(s.layers().Path(earlier)+".owners", nil, 0o644))
	done, err := s.using()
	require.NoError(t, err)
	left, err := filepath.Glob(s.layers().Path(earlier) + "*")
	require.NoError(t, err)
	require.Empty(t, left)
	require.True(t, s.layers().Has(current))
	require.Equal(t, strings.TrimSpace(tool(t, "cat", "/proc/sys/kernel/random/boot_id")),
		strings.TrimSpace(tool(t, "readlink", mark(current))))
	_, err = s.layout().Write(oci.NewConfig(), nil, "", nil)
	require.NoError(t, errors.Join(err, done()))
	require.NoFileExists(t, mark(current))
	require.True(t, s.layers().Has(current))
}

// TestUnsyncedLayersOfAStoreInUse holds that a box which is not alone leaves such a layer to the one
// that is, and says so.
func TestUnsyncedLayersOfAStoreInUse(t *testing.T) {
	s := newStore(t)
	layer := digest.FromString("earlier")
	require.NoError(t, s.openImages())
	require.NoError(t, os.Mkdir(s.layers().Path(layer), 0o755))
	require.NoError(t, os.Symlink("another-boot", s.layers().Path(layer)+".unsynced"))
	other, err := state.TryLock(s.path("images/use.lock"), state.Exclusive)
	require.NoError(t, err)
	_, err = s.using()
	require.ErrorIs(t, err, state.ErrBusy)
	require.NotErrorIs(t, err, os.ErrInvalid)
	require.True(t, s.layers().Has(layer))
	require.NoError(t, other.Close())
	done, err := s.using()
	require.NoError(t, err)
	require.False(t, s.layers().Has(layer))
	require.NoError(t, done())
}

// TestImagePrune removes images without a name, but not what a container or another image has.
func TestImagePrune(t *testing.T) {
	boxtest.Turn(t, 3, 4)
	s := newStore(t)
	layers := sampleLayers(t)
	load := func(tag, author string, layers ...[]byte) *oci.Image {
		_, err := s.load(bytes.NewReader(dockerArchive(t, func(c *oci.Config, m *dockerManifest) { c.Author, m.RepoTags = author, []string{tag} }, layers...)))
		require.NoError(t, err)
		image, err := s.layout().Find(tag)
		require.NoError(t, err)
		return image
	}
	prune := func(args ...string) string {
		out, stderr, status := run(t, append([]string{"image", "prune", "--force", "--root", s.Root}, args...)...)
		require.Zero(t, status, stderr)
		return out
	}
	_, stderr, status := run(t, "run", "--root", s.Root, "--name", "user", "tiny", "true")
	require.Zero(t, status, stderr)
	used, err := s.layout().Find("tiny")
	require.NoError(t, err)
	old, kept := load("tiny", "old", layers...), load("tiny", "kept", layers[0]) // each takes the name from the one before
	asked, stderr, status := run(t, "image", "prune", "--root", s.Root)
	require.Zero(t, status, stderr)
	require.Equal(t, "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ", asked, "no answer is no")
	lock := filepath.Join(s.Root, "images", "index.lock")
	require.NoError(t, os.Rename(lock, lock+".aside"))
	require.NoError(t, os.Mkdir(lock, 0o755))
	out, stderr, status := run(t, "image", "prune", "--force", "--root", s.Root)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, lock)
	require.Equal(t, "Total reclaimed space: 0 B\n", out, "what cannot be removed is not said to be deleted")
	require.NoError(t, os.Remove(lock))
	require.NoError(t, os.Rename(lock+".aside", lock))
	require.Equal(t, "Deleted: "+old.ID.String()+"\nTotal reclaimed space: 6 B\n", prune(), "the upper layer")
	require.Equal(t, "Total reclaimed space: 0 B\n", prune())
	require.Equal(t, "Untagged: tiny:latest\nDeleted: "+kept.ID.String()+"\nTotal reclaimed space: 5 B\n", prune("-a"), "the lower one")
	_, stderr, status = run(t, "rm", "--root", s.Root, "user")
	require.Zero(t, status, stderr)
	require.Contains(t, prune(), "Deleted: "+used.ID.String())
	require.Equal(t, storeOf(t, newStore(t)), storeOf(t, s), "nothing is left")
}

// TestTagBesideRmi holds that a name is not given to what is removed at the same time. The
// two take some milliseconds each, and so meet in most of fifty tries.
func TestTagBesideRmi(t *testing.T) {
	boxtest.Slow(t)
	s := newStore(t)
	archive := dockerArchive(t, nil, sampleLayers(t)...)
	for range 50 {
		_, err := s.load(bytes.NewReader(archive))
		require.NoError(t, err)
		var pair sync.WaitGroup
		pair.Go(func() { _ = (&tagCmd{Image: "loaded:1", Name: "other", Store: s}).Run() })
		pair.Go(func() { _ = (&rmiCmd{Names: []string{"loaded:1"}, Store: s}).Run() })
		pair.Wait()
		_, err = s.needed()
		require.NoError(t, err)
	}
}

func TestContainersKeepTheirLayers(t *testing.T) {
	boxtest.Slow(t)
	s := Store{Root: t.TempDir()}
	box := func(args ...string) (string, string, int) {
		return run(t, append([]string{args[0], "--root", s.Root}, args[1:]...)...)
	}
	out, stderr, status := box("run", "--name", "keeper", "tiny", "echo", "hi")
	require.Zero(t, status, stderr)
	require.Equal(t, "hi\n", out)
	_, stderr, status = box("rmi", "tiny")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "is in container keeper: box rm keeper")
	_, stderr, status = box("rmi", "-f", "tiny")
	require.Zero(t, status, stderr)
	_, stderr, status = box("start", "-a", "keeper")
	require.Zero(t, status, stderr)
	require.NotEmpty(t, shapeOf(t, s.path("layers")))
	_, stderr, status = box("rm", "keeper")
	require.Zero(t, status, stderr)
	require.NoError(t, s.collect())
	entries, err := os.ReadDir(s.path("layers"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// An image's variables come before those of --env-file, and these before those of --env. A name
// alone is the caller's variable in a flag, and nothing in an image.
func TestVariablesOfImageFilesAndFlags(t *testing.T) {
	t.Setenv("BOX_OF_THE_HOST", "secret")
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	require.NoError(t, os.WriteFile(one, []byte("A=one\nB=one\nC=one\n"), 0o600))
	require.NoError(t, os.WriteFile(two, []byte("B=two\nC=two\n"), 0o600))
	image := oci.RunConfig{ImageConfig: ocispec.ImageConfig{Cmd: []string{"env"}, Env: []string{"A=image", "D=image", "BOX_OF_THE_HOST"}}}
	environment := func(flags ...string) []string {
		c := &Container{ProcessOptions: ProcessOptions{Env: flags, EnvFile: []string{one, two}}}
		require.NoError(t, c.merge(nil, image))
		require.NoError(t, c.resolve())
		return envfile.Set(nil, c.Env)
	}
	require.ElementsMatch(t, []string{"A=one", "B=two", "C=flag", "D=image"}, environment("C=flag"))
	require.Contains(t, environment("BOX_OF_THE_HOST"), "BOX_OF_THE_HOST=secret", "the control")
}

func TestConfigAndFlagsTogether(t *testing.T) {
	shell, none := "sh", ""
	config := oci.RunConfig{ImageConfig: ocispec.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}}}
	for _, c := range []struct {
		entrypoint *string
		words      []string
		want       string
	}{
		{nil, nil, "entry cmd"}, {nil, []string{"a", "b"}, "entry a b"},
		{&shell, nil, "sh"}, {&shell, []string{"a"}, "sh a"}, {&none, []string{"a"}, "a"},
	} {
		made := &Container{ImageOptions: ImageOptions{Entrypoint: c.entrypoint}}
		require.NoError(t, made.merge(c.words, config))
		require.Equal(t, c.want, strings.Join(made.Command, " "))
	}
	require.ErrorContains(t, (&Container{ImageOptions: ImageOptions{Entrypoint: &none}}).merge(nil, config), "does not say what to run")
	config.Entrypoint = []string{""} // as some tools write that there is none
	made := &Container{}
	require.NoError(t, made.merge(nil, config))
	require.Equal(t, []string{"cmd"}, made.Command.argv())
}

// platforms serves an image for each platform under the tag latest of a repository, in an index.
func (f fakeRegistry) platforms(t testing.TB, name string, platforms ...string) (index digest.Digest) {
	var list ocispec.Index
	for _, text := range platforms {
		p, err := registry.ParsePlatform(text)
		require.NoError(t, err)
		f.image(t, name, func(c *oci.Config, _ *ocispec.Manifest) { c.Platform = p }, sampleLayers(t)...)
		d := blobOf(f["/v2/"+name+"/manifests/latest"])
		f["/v2/"+name+"/manifests/"+d.Digest.String()] = f["/v2/"+name+"/manifests/latest"]
		d.MediaType, d.Platform = ocispec.MediaTypeImageManifest, &p
		list.Manifests = append(list.Manifests, d)
	}
	list.SchemaVersion, list.MediaType = 2, ocispec.MediaTypeImageIndex
	data := jsonOf(t, list)
	f["/v2/"+name+"/manifests/latest"], f["/v2/"+name+"/manifests/"+digest.FromBytes(data).String()] = data, data
	return digest.FromBytes(data)
}

// TestOtherPlatforms asks for a platform that the image here is not for.
func TestOtherPlatforms(t *testing.T) {
	noConfig(t)
	fake := fakeRegistry{}
	index := fake.platforms(t, "app", "linux/amd64", "linux/arm64", "linux/arm/v6")
	fake.image(t, "single", func(c *oci.Config, _ *ocispec.Manifest) { c.Platform.Architecture = "s390x" }, sampleLayers(t)...)
	address := fake.serve(t)
	s := newStore(t)
	obtain := func(name, platform, pull string) (*oci.Image, error) {
		c := &Container{Store: s, ImageOptions: ImageOptions{Platform: platform, Pull: pull}}
		image, err := s.layout().Find(name)
		return c.obtain(name, image, err)
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/amd64", "linux/arm64"} {
		image, err := obtain(address+"/app", platform, "missing")
		require.NoError(t, err, platform)
		require.Equal(t, strings.Split(platform, "/")[1], image.Config.Architecture)
		again, err := obtain(address+"/app", platform, "never")
		require.NoError(t, err)
		require.Equal(t, image.ID, again.ID)
		_, origins, err := namesOf(s, image)
		require.NoError(t, err)
		require.Equal(t, []string{address + "/app@" + index.String()}, origins)
	}
	_, err := obtain(address+"/app", "linux/amd64", "never")
	require.ErrorContains(t, err, "no such image here for linux/amd64: this one is for linux/arm64")
	_, err = obtain(address+"/app", "linux/riscv64", "missing")
	require.ErrorContains(t, err, "this one is for linux/arm64, and it cannot be pulled: no image for platform linux/riscv64; available: linux/amd64, linux/arm/v6, linux/arm64")
	_, err = obtain(address+"/app", "linux/amd64,linux/arm64", "missing")
	require.ErrorContains(t, err, "one platform at a time")
	_, err = obtain(address+"/single", "linux/arm64", "missing")
	require.ErrorContains(t, err, "for linux/arm64: this one is for linux/s390x")
	_, err = s.layout().Find(address + "/single")
	require.ErrorIs(t, err, oci.ErrNoImage, "nothing is kept")
	image, err := obtain(address+"/single", "", "missing")
	require.NoError(t, err, "as in Docker, with a warning")
	require.Equal(t, "s390x", image.Config.Architecture)
	image, err = s.layout().Find(address + "/app@" + index.String())
	require.NoError(t, err)
	require.Equal(t, "arm64", image.Config.Architecture)
}

// TestHistory shows an image of a tool that says little of how it made it.
func TestHistory(t *testing.T) {
	s := newStore(t)
	_, err := s.load(bytes.NewReader(dockerArchive(t, func(c *oci.Config, _ *dockerManifest) {
		c.Created, c.History = &time.Time{}, []ocispec.History{{CreatedBy: "first"}}
	}, sampleLayers(t)...)))
	require.NoError(t, err)
	stdout, stderr, status := run(t, "history", "--root", s.Root, "loaded:1")
	require.Zero(t, status, stderr)
	require.Len(t, strings.Split(strings.TrimSpace(stdout), "\n"), 3, stdout)
	stdout, _, _ = run(t, "images", "--root", s.Root)
	require.Contains(t, stdout, "N/A")
}

// TestFiftyOnANewStore has fifty commands at once make a store and put an image into it.
func TestFiftyOnANewStore(t *testing.T) {
	boxtest.Slow(t)
	file, rounds := filepath.Join(t.TempDir(), "files.tar"), 1
	require.NoError(t, os.WriteFile(file, tarOf(t, tarFile("etc/name", "x")), 0o644))
	if boxtest.Long() {
		rounds = 20
	}
	for range rounds {
		s := Store{Root: filepath.Join(t.TempDir(), "store")}
		var all sync.WaitGroup
		for i := range 50 {
			cmd := exec.Command(box, "import", "--root", s.Root, file, fmt.Sprint("new:", i))
			if i%10 == 9 {
				cmd = exec.Command(box, "images", "--root", s.Root)
			}
			all.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %v: %s", cmd.Args, err, out)
				}
			})
		}
		all.Wait()
		index, err := s.layout().Index()
		require.NoError(t, err)
		require.Len(t, index, 45)
		require.True(t, s.layout().IsMade())
		require.NoError(t, os.Remove(s.path("images/oci-layout")))
		require.NoError(t, s.openImages())
		again, err := s.layout().Index()
		require.NoError(t, err)
		require.Equal(t, index, again, "oci-layout was lost, and nothing else")
		require.True(t, s.layout().IsMade())
	}
}

// A command that waits for the lock of a new store finds a whole one when it gets it, with images.
func TestNewStoreIsMadeOnce(t *testing.T) {
	whole := newStore(t)
	_, err := whole.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	s := Store{Root: t.TempDir()}
	require.NoError(t, os.Mkdir(s.path("images"), 0o700))
	held, err := state.TryLock(s.path("images/index.lock"), state.Exclusive)
	require.NoError(t, err)
	late := exec.Command(box, "tag", "--root", s.Root, "loaded:1", "more:1")
	var said bytes.Buffer
	late.Stdout, late.Stderr = &said, &said
	require.NoError(t, late.Start())
	info, err := held.Stat()
	require.NoError(t, err)
	waits := fmt.Sprintf("-> OFDLCK .*:%d ", info.Sys().(*syscall.Stat_t).Ino)
	require.Eventually(t, func() bool {
		locks, err := os.ReadFile("/proc/locks")
		return err == nil && regexp.MustCompile(waits).Match(locks)
	}, time.Minute, time.Millisecond, "it waits for the lock")
	tool(t, "cp", "-a", whole.path("images/blobs"), whole.path("images/index.json"), whole.path("images/oci-layout"), s.path("images"))
	require.NoError(t, held.Close())
	require.NoError(t, late.Wait(), said.String())
	index, err := s.layout().Index()
	require.NoError(t, err)
	require.Len(t, index, 2)
}

// TestDirectoriesOfLowerLayers loads an image whose second layer has a file in /tmp, and no /tmp.
func TestDirectoriesOfLowerLayers(t *testing.T) {
	s := newStore(t)
	tmp := tarDir("tmp")
	tmp.Mode = 0o1777
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, tarOf(t, tmp), tarOf(t, tarFile("tmp/x", "")))))
	require.NoError(t, err)
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	dirs, err := s.layers().Stack(image)
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	info, err := os.Stat(filepath.Join(dirs[2], "tmp"))
	require.NoError(t, err)
	require.Equal(t, os.ModeSticky|os.ModeDir|0o777, info.Mode())
	require.NoError(t, s.collect())
	again, err := s.layers().Stack(image)
	require.NoError(t, err)
	require.Equal(t, dirs, again)
	require.DirExists(t, dirs[2])
	require.NoError(t, s.untag(image, []string{"docker.io/library/loaded:1"}))
	require.NoError(t, s.collect())
	require.NoDirExists(t, dirs[2])
}

// TestRmiOnAFullDisk removes an image when there is no room for a new index.
func TestRmiOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners and mounts are root's to give")
	}
	root := t.TempDir()
	require.NoError(t, unix.Mount("stagebox-full", root, "tmpfs", 0, "size=2m"))
	defer unix.Unmount(root, unix.MNT_DETACH)
	s := Store{Root: root}
	require.NoError(t, s.openImages())
	_, err := s.load(bytes.NewReader(dockerArchive(t, nil, sampleLayers(t)...)))
	require.NoError(t, err)
	full, err := os.Create(filepath.Join(root, "fill"))
	require.NoError(t, err)
	for err == nil {
		_, err = full.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, full.Close())
	image, err := s.layout().Find("loaded:1")
	require.NoError(t, err)
	image.Names = []string{"docker.io/library/loaded:1"}
	require.NoError(t, s.untag(image, image.Names))
	_, err = s.layout().Find("loaded:1")
	require.ErrorIs(t, err, oci.ErrNoImage)
	require.NoDirExists(t, s.layers().Path(image.Config.RootFS.DiffIDs[0]))
}

// TestDiskOfTheStore: a store on a disk that is full or read-only says what to do. The disk is a tmpfs
// in a mount namespace of the test's.
func TestDiskOfTheStore(t *testing.T) {
	for disk, want := range map[string]string{
		`mount -t tmpfs -o size=256k tmpfs "$1"`: `no space left on device
     box rm, box rmi and, where there is a build cache, box builder prune make room in the store; another place for it is given by --root DIR or BOX_ROOT
`,
		`mount -t tmpfs tmpfs "$1"; "$0" images --root "$1"; mount -o remount,bind,ro "$1"`: `read-only file system; another place for it is given by --root DIR or BOX_ROOT
`} {
		flags := "-rm"
		if os.Getuid() == 0 {
			flags = "-m"
		}
		if err := exec.Command("unshare", flags, "true").Run(); err != nil {
			t.Skipf("unshare %s: %v", flags, err)
		}
		out, err := exec.Command("unshare", flags, "sh", "-c", disk+`; "$0" run --root "$1" tiny true`, box, t.TempDir()).CombinedOutput()
		require.Error(t, err)
		require.Truef(t, strings.HasSuffix(string(out), want), "%s", out)
	}
}

// A container outlives its image: what commit cannot do, export can.
func TestCommitWithoutTheImage(t *testing.T) {
	s := newStore(t)
	for _, line := range []string{"run --name last tiny true", "rmi --force tiny"} {
		args := strings.Fields(line)
		_, stderr, status := run(t, append([]string{args[0], "--root", s.Root}, args[1:]...)...)
		require.Zero(t, status, stderr)
	}
	_, stderr, status := run(t, "commit", "--root", s.Root, "last", "new")
	require.Equal(t, 1, status)
	require.Equal(t, "box: commit: the image that last was made from has been removed; box export last | box import - NAME makes one of all its files\n", stderr)
	file := filepath.Join(t.TempDir(), "files.tar")
	_, stderr, status = run(t, "export", "--root", s.Root, "-o", file, "last")
	require.Zero(t, status, stderr)
	_, stderr, status = run(t, "import", "--root", s.Root, file, "new")
	require.Zero(t, status, stderr)
}
