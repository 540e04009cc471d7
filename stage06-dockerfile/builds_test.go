package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"stagebox/lessons/boxtest"

	"stagebox/stage03-rootfs/tiny"
	"stagebox/stage05-images/ocispec"
)

// record names a program that builds with BuildKit, and its first arguments: then the tests
// write down what it makes of the cases, in place of comparing with that.
var record = flag.String("record", "", "record what `BUILDCTL` builds: the program and its first arguments")

// other names the box that builds. It has a cache: then each case is built twice, and the
// second time gives what the first gave.
var other = flag.String("box", "", "build with `BOX`, which remembers steps, instead of with this stage's")

// tools are the names of busybox in the images.
var tools = strings.Fields("sh cat chmod chown cp date echo env false grep head id ln ls mkdir mkfifo mknod mktemp mount mv od " +
	"printf ps pwd readlink rm rmdir sed seq sha256sum sort stat tail tar test touch tr true umask uname wc whoami")

// images are those that the cases begin with: their archives, by their names.
type images map[string]string

// TestBuildsAreBuildKits builds each case of testdata/builds, or with -short one in twenty,
// others each time. Its README tells the rest.
func TestBuildsAreBuildKits(t *testing.T) {
	start := time.Now()
	if *other != "" {
		box = *other
	}
	bases := makeBases(t)
	base := readImage(t, bases["busybox"])
	differs := listedDifferences(t)
	lists, err := filepath.Glob("testdata/builds/[^_]*.txtar")
	require.NoError(t, err)
	all, r, share := 0, boxtest.Random(t), 1
	switch {
	case testing.Short():
		share = 20
	case *other == "" && *record == "" && !boxtest.Long():
		share = 3 // a stage with a cache builds all of them, with these same files
	}
	for _, list := range lists {
		name := strings.TrimSuffix(list, ".txtar")
		kept, fresh := map[string]builtImage{}, map[string]builtImage{}
		if *record == "" || exists(name+".json") {
			src, err := os.ReadFile(name + ".json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(src, &kept))
		}
		for _, c := range readCases(t, list) {
			all++
			require.NotContains(t, fresh, c.name, "two cases of %s have this name", list)
			want, known := kept[c.name]
			fresh[c.name] = want
			if r.IntN(share) > 0 {
				continue
			}
			t.Run(filepath.Base(name)+"/"+c.name, func(t *testing.T) {
				if *record != "" {
					fresh[c.name] = c.build(t, bases, base, start, buildctl)
					return
				}
				require.True(t, known, "nothing is recorded of it")
				c.skipUnlessPossible(t)
				t.Parallel() // much of it is to wait for the disk
				compare(t, want, c.build(t, bases, base, start, boxBuild), differs[c.name])
			})
		}
		if *record != "" {
			require.NoError(t, os.WriteFile(name+".json", []byte(inJSON(t, fresh)), 0o644))
		}
	}
	require.Greater(t, all, 120)
}

// makeBases makes the images of _images.txtar: what has a Dockerfile is built, the others
// are their files and busybox, in whose place nothing depends on the host's programs.
func makeBases(t *testing.T) images {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("there is no busybox in PATH, of which the images are made")
	}
	if loader, err := tiny.Interpreter(busybox); loader != "" || err != nil {
		t.Skipf("%s is not static, and the images have no libraries: install busybox-static", busybox)
	}
	program, err := os.ReadFile(busybox)
	require.NoError(t, err)
	bases, dir := images{}, t.TempDir()
	for _, c := range readCases(t, "testdata/builds/_images.txtar") {
		if args := append([]string{"build", "-q", "-t", c.name}, c.flags...); c.has("Dockerfile") {
			_, errs, status := run(t, append(args, makeContext(t, c.files))...)
			require.Zero(t, status, errs)
		} else {
			files := append(c.files, caseFile{path: "bin/busybox", kind: tar.TypeReg, mode: 0o755, time: beginning, data: program})
			for _, tool := range tools {
				files = append(files, caseFile{path: "bin/" + tool, kind: tar.TypeSymlink, mode: 0o777, time: beginning, link: "busybox"})
			}
			archive := filepath.Join(dir, "files.tar")
			require.NoError(t, os.WriteFile(archive, makeTar(t, files), 0o600))
			_, errs, status := run(t, "import", archive, c.name)
			require.Zero(t, status, errs)
		}
		bases[c.name] = filepath.Join(dir, c.name+".tar")
		_, errs, status := run(t, "save", "-o", bases[c.name], c.name)
		require.Zero(t, status, errs)
	}
	return bases
}

func (c *buildCase) has(name string) bool {
	return slices.ContainsFunc(c.files, func(f caseFile) bool { return f.path == name })
}

// compare holds what box built against what BuildKit built.
func compare(t *testing.T, want, got builtImage, differs string) {
	if differs != "" {
		require.NotEqual(t, want, got, "it is the same, and listed as different: %s", differs)
		return
	}
	if want.Refused != "" {
		require.NotEmpty(t, got.Refused, "it builds, and BuildKit refuses: %s", want.Refused)
		return
	}
	require.Empty(t, got.Refused)
	require.Equal(t, inJSON(t, want), inJSON(t, got))
}

// inJSON is a record as it is written down, so that both sides went through the same.
func inJSON(t testing.TB, v any) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	require.NoError(t, e.Encode(v))
	return out.String()
}

// listedDifferences are the cases that README.md lists, with the reason.
func listedDifferences(t *testing.T) map[string]string {
	text, err := os.ReadFile("testdata/builds/README.md")
	require.NoError(t, err)
	list := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^- `([a-z0-9-]+)`: (.+)").FindAllStringSubmatch(string(text), -1) {
		list[m[1]] = m[2]
	}
	return list
}

// skipUnlessPossible skips what needs more than an ordinary user's one id, or another processor.
func (c *buildCase) skipUnlessPossible(t *testing.T) {
	given := func(f caseFile) bool { return f.uid+f.gid > 0 }
	if os.Geteuid() != 0 && (c.needsIDs || slices.ContainsFunc(c.files, given)) {
		t.Skip("an ordinary user has one id, and the case needs several")
	}
}

// build builds a case with a builder.
func (c *buildCase) build(t *testing.T, bases images, base builtImage, start time.Time, builder func(*caseBuild) error) builtImage {
	b := &caseBuild{buildCase: c, t: t, dir: makeContext(t, c.files), archive: filepath.Join(t.TempDir(), "image.tar"), bases: bases}
	b.flags = append([]string{}, c.flags...)
	if len(c.server) > 0 {
		b.flags = append(b.flags, "--build-arg", "SERVER="+serve(t, c.server))
	}
	if err := builder(b); err != nil {
		return builtImage{Refused: err.Error()}
	}
	return readImage(t, b.archive).since(base, start)
}

// caseBuild is a build of a case.
type caseBuild struct {
	*buildCase
	t       *testing.T
	flags   []string
	dir     string // the context
	archive string // what is to be made
	bases   images
}

// serve is a web server of some files.
func serve(t *testing.T, files []caseFile) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range files {
			if path.Join("/", f.path) == r.URL.Path {
				http.ServeContent(w, r, "", f.time, bytes.NewReader(f.data))
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// boxBuild builds with box.
func boxBuild(b *caseBuild) error {
	id, err := b.boxOnce()
	if err != nil {
		return err
	}
	if *other != "" {
		again, err := b.boxOnce()
		require.NoError(b.t, err, "the second time")
		require.Equal(b.t, id, again, "the second time gave another image")
	}
	_, errs, status := run(b.t, "save", "-o", b.archive, id)
	require.Zero(b.t, status, errs)
	return nil
}

// boxOnce returns the image's id.
func (b *caseBuild) boxOnce() (string, error) {
	id := filepath.Join(b.t.TempDir(), "id")
	args := append([]string{"build", "-q", "--iidfile", id}, b.flags...)
	cmd := exec.Command(box, append(slices.Clone(args), ".")...)
	if cmd.Dir = b.dir; slices.Contains(b.flags, "-") {
		cmd = exec.Command(box, args...)
		cmd.Stdin = bytes.NewReader(makeTar(b.t, b.files))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		require.Equal(b.t, 1, cmd.ProcessState.ExitCode(), "%s", out)
		require.NoFileExists(b.t, id)
		return "", errors.New(string(out))
	}
	text, err := os.ReadFile(id)
	require.NoError(b.t, err)
	return string(text), nil
}

// buildctl builds with BuildKit.
func buildctl(b *caseBuild) error {
	words := strings.Fields(*record)
	args := append(slices.Clone(words[1:]), "build", "--no-cache", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--output", "type=oci,compression=uncompressed,dest="+b.archive)
	file, limits := "Dockerfile", []string{}
	for i := 0; i < len(b.flags); i += 2 {
		switch flag := b.flags[i]; flag {
		case "--build-arg", "--label":
			args = append(args, "--opt", strings.TrimPrefix(flag, "--")+":"+b.flags[i+1])
		case "--target", "--platform", "--shm-size": // its frontend takes bytes
			args = append(args, "--opt", strings.TrimPrefix(flag, "--")+"="+b.flags[i+1])
		case "--network":
			args = append(args, "--opt", "force-network-mode="+b.flags[i+1])
		case "--secret", "--allow":
			args = append(args, flag, b.flags[i+1])
		case "--ulimit":
			limits = append(limits, b.flags[i+1])
		case "-f":
			file = b.flags[i+1]
		case "-":
			context := serve(b.t, []caseFile{{path: "context.tar", data: makeTar(b.t, b.files), time: beginning}})
			args = append(args, "--opt", "context="+context+"/context.tar")
		default:
			b.t.Fatalf("%s: no flag of BuildKit's is like it", flag)
		}
	}
	args = append(args, "--opt", "ulimit="+strings.Join(limits, ","), "--opt", "filename="+file, "--local", "context=.", "--local", "dockerfile=.")
	for name, archive := range b.bases {
		layout, digest := unpackLayout(b.t, archive)
		args = append(args, "--oci-layout", name+"="+layout, "--opt", "context:"+name+"=oci-layout://"+name+"@"+digest)
	}
	// What is in a cache has the times of the case that it was built for, because they are in no key.
	out, err := exec.Command(words[0], append(slices.Clone(words[1:]), "prune", "--all")...).CombinedOutput()
	require.NoError(b.t, err, "%s", out)
	cmd := exec.Command(words[0], args...)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return errors.New(regexp.MustCompile(`of ref \S+: |error: failed to solve: |/\S*/cachemounts/buildkit\d+`).ReplaceAllString(lines[len(lines)-1], "")) // what is the same each time
	}
	return nil
}

// unpackLayout unpacks an archive of an image, and says which its manifest is.
func unpackLayout(t *testing.T, archive string) (dir, manifest string) {
	dir = t.TempDir()
	files := untarred(t, archive)
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path.Dir(name)), 0o755))
		if !strings.HasSuffix(name, "/") && len(data) > 0 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		}
	}
	var index ocispec.Index
	require.NoError(t, json.Unmarshal(files["index.json"], &index))
	return dir, string(index.Manifests[0].Digest)
}
