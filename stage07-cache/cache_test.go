package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
)

// bench is a context and a store of its own to build in.
type bench struct {
	t   testing.TB
	dir string
	Store
}

func newBench(t testing.TB, dockerfile string) *bench {
	b := &bench{t, t.TempDir(), Store{Root: filepath.Join(t.TempDir(), "store")}}
	b.write("Dockerfile", dockerfile)
	t.Cleanup(func() { require.NoError(t, removeTree(b.Root)) })
	return b
}

func (b *bench) path(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}

// write makes a file of the context that is old enough for its times to be believed.
func (b *bench) write(name, content string) {
	path := b.path(name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(content), 0o644))
}

// build builds, and returns the image's id and what was told of the steps.
func (b *bench) build(args ...string) (id digest.Digest, told string) {
	id, told, err := b.try(args...)
	require.NoError(b.t, err, told)
	return id, told
}

// A context that gets or loses a file while a step reads it: the file is named, or the list, and the
// step is not kept.
func TestContextChangesMeanwhile(t *testing.T) {
	boxtest.Turn(t, 2, 3)
	for name, c := range map[string]struct {
		change func(b *bench) error
		says   string
	}{
		"a new file":  {func(b *bench) error { return os.WriteFile(b.path("new"), nil, 0o644) }, "new changed while the step ran"},
		"one is gone": {func(b *bench) error { return os.Remove(b.path("old")) }, "the list of files changed while the step ran"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "FROM tiny\nRUN --mount=type=bind,target=/c --mount=type=cache,target=/cache echo wait''ing; until [ -e /cache/go ]; do sleep 0.01; done\n")
			b.write("old", "x")
			cmd := exec.Command(box, "build", "--progress", "plain", b.dir)
			cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
			out, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			var told strings.Builder
			for lines := bufio.NewScanner(out); lines.Scan(); {
				told.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), "waiting") {
					require.NoError(t, c.change(b))
					mounts, err := filepath.Glob(b.Store.path("cache/mounts/*"))
					require.NoError(t, err)
					require.Len(t, mounts, 1)
					require.NoError(t, os.WriteFile(filepath.Join(mounts[0], "go"), nil, 0o644))
				}
			}
			require.NoError(t, cmd.Wait(), told.String())
			require.Contains(t, told.String(), ": "+c.says+"; this step is not kept in the cache")
			entries, err := os.ReadDir(b.Store.path("cache/steps"))
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

func (b *bench) try(args ...string) (digest.Digest, string, error) {
	cmd := exec.Command(box, append([]string{"build", b.dir}, args...)...)
	cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return digest.Digest(strings.TrimSpace(out.String())), errs.String(), err
}

// describe is all of an image but times: its configuration, and its files.
func (b *bench) describe(id digest.Digest) string {
	var config map[string]any
	require.NoError(b.t, state.ReadJSON(b.layout().Path(id), &config))
	var image oci.Config
	require.NoError(b.t, state.ReadJSON(b.layout().Path(id), &image))
	delete(config, "created")
	delete(config, "rootfs") // its digests are those of times too
	for _, step := range config["history"].([]any) {
		delete(step.(map[string]any), "created")
	}
	text, err := json.MarshalIndent(config, "", " ")
	require.NoError(b.t, err)
	dirs, err := b.layers().Stack(&oci.Image{ID: id, Config: image})
	require.NoError(b.t, err)
	lines := []string{string(text)}
	if len(dirs) == 0 {
		return lines[0]
	}
	var top []string
	for _, dir := range dirs {
		top = append([]string{dir}, top...)
	}
	u, err := union.Open(top)
	require.NoError(b.t, err)
	defer u.Close()
	b.describeTree(u.Root(), ".", &lines)
	return strings.Join(lines, "\n")
}

func (b *bench) describeTree(n *union.Node, name string, lines *[]string) {
	children, err := n.Children()
	require.NoError(b.t, err)
	for _, child := range children {
		path := name + "/" + child.Name()
		line := fmt.Sprintf("%s %o %d:%d", path, child.Mode, child.Uid, child.Gid)
		switch {
		case child.IsDir():
		case child.Is(0o120000):
			target, err := child.ReadLink()
			require.NoError(b.t, err)
			line += " -> " + target
		case child.Size < 1<<16 && child.Is(0o100000):
			fd, err := child.Open(0)
			require.NoError(b.t, err)
			file := os.NewFile(uintptr(fd), path)
			data := make([]byte, child.Size)
			_, err = file.Read(data)
			if len(data) > 0 {
				require.NoError(b.t, err)
			}
			require.NoError(b.t, file.Close())
			line += fmt.Sprintf(" %d %s", child.Nlink, digest.FromBytes(data).Encoded()[:16])
		}
		*lines = append(*lines, line)
		if child.IsDir() {
			b.describeTree(child, path, lines)
		}
	}
}

// sameAsFresh builds with the cache and without, and wants the same of both.
func (b *bench) sameAsFresh(args ...string) (id digest.Digest, told string) {
	id, told = b.build(args...)
	fresh, _ := b.build(append(args, "--no-cache")...)
	require.Equal(b.t, b.describe(fresh), b.describe(id), told)
	return id, told
}

// Each of these was once wrong in Docker's builders or in another: the number is that of the
// report. All or nothing of it is new: a change must lead to another image, and what is no
// change to the very same one.
func TestWaysToBeWrong(t *testing.T) {
	boxtest.Slow(t)
	must := func(err error) func(t *testing.T) { return func(t *testing.T) { require.NoError(t, err) } }
	for _, c := range []struct {
		name, dockerfile string
		change           func(b *bench) error
		again            []string
		same             bool
	}{
		{"moby 17957, 17827: one file in a directory", "COPY src /src", func(b *bench) error { b.write("src/a", "A2"); return nil }, nil, false},
		{"buildkit 853: the second of two sources", "COPY src/a src/b /", func(b *bench) error { b.write("src/b", "B2"); return nil }, nil, false},
		{"buildkit 894: a source whose name begins like the other's", "COPY Gemfile Gemfile.lock /", func(b *bench) error { b.write("Gemfile.lock", "2"); return nil }, nil, false},
		{"buildkit 2008: a pattern, and a file with another name", "COPY src/* /", func(b *bench) error { return os.Rename(b.path("src/a"), b.path("src/c")) }, nil, false},
		{"buildkit 2008: a name in other letters", "COPY src /src", func(b *bench) error { return os.Rename(b.path("src/a"), b.path("src/A")) }, nil, false},
		{"for-linux 148: as long as before, and as old", "COPY src /src", func(b *bench) error {
			old, err := os.Stat(b.path("src/a"))
			if err != nil {
				return err
			}
			b.write("src/a", "X")
			return os.Chtimes(b.path("src/a"), old.ModTime(), old.ModTime())
		}, nil, false},
		{"moby 42718: a file with two names", "COPY src/hard2 /", func(b *bench) error { return os.WriteFile(b.path("src/hard1"), []byte("H2"), 0o644) }, nil, false},
		{"two names become two files", "COPY src /src", func(b *bench) error {
			if err := os.Remove(b.path("src/hard2")); err != nil {
				return err
			}
			b.write("src/hard2", "H")
			return nil
		}, nil, false},
		{"moby 34260, buildah 1875: another target of a link", "COPY src /src", func(b *bench) error {
			if err := os.Remove(b.path("src/link")); err != nil {
				return err
			}
			return os.Symlink("b", b.path("src/link"))
		}, nil, false},
		{"moby 17290: a link to nowhere elsewhere", "COPY src /src", func(b *bench) error { return os.Symlink("nowhere", b.path("dangling")) }, nil, true},
		{"the mode alone", "COPY src /src", func(b *bench) error { return os.Chmod(b.path("src/a"), 0o600) }, nil, false},
		{"the mode of a directory", "COPY . /all", func(b *bench) error { return os.Chmod(b.path("src"), 0o700) }, nil, false},
		{"the mode of a directory above, with --parents", "COPY --parents src/a /", func(b *bench) error { return os.Chmod(b.path("src"), 0o700) }, nil, false},
		{"a new empty directory", "COPY src /src", func(b *bench) error { return os.Mkdir(b.path("src/empty"), 0o755) }, nil, false},
		{"a file that is gone", "COPY src /src", func(b *bench) error { return os.Remove(b.path("src/b")) }, nil, false},
		{"moby 10336, DockCI 69: times alone", "COPY src /src", func(b *bench) error { return os.Chtimes(b.path("src/a"), time.Unix(1, 0), time.Unix(1, 0)) }, nil, true},
		{".dockerignore lets a file in", "COPY . /all", func(b *bench) error {
			return os.WriteFile(b.path(".dockerignore"), []byte("src/a\nDockerfile\n.dockerignore"), 0o644)
		}, nil, false},
		{"a new directory that .dockerignore leaves out", "COPY . /all", func(b *bench) error { return os.Mkdir(b.path("left"), 0o755) }, nil, true},
		{"--exclude", "COPY --exclude=b src /src", func(b *bench) error { b.write("src/b", "B2"); return nil }, nil, true},
		{"an ARG before FROM", "ARG W\nCOPY src /$W", nil, []string{"--build-arg", "W=other"}, false},
		{"two values that look the same together", "ARG A\nARG B\nLABEL x=$A y=$B", nil, []string{"--build-arg", "A=1 y=2", "--build-arg", "B="}, false},
		{"--label", "COPY src /src", nil, []string{"--label", "a=b"}, false},
		{"--chmod by a variable", "ARG M=644\nCOPY --chmod=$M src/a /", nil, []string{"--build-arg", "M=600"}, false},
		{"an earlier stage", "COPY src/a /x\nFROM scratch\nCOPY --from=0 /x /y", func(b *bench) error { b.write("src/a", "A2"); return nil }, nil, false},
		{"a stage that nothing needs", "COPY src/a /x\nFROM scratch\nCOPY src/b /y", func(b *bench) error { b.write("src/a", "A2"); return nil }, nil, true},
		{"a here-document", "COPY <<E /e\n$W\nE", func(b *bench) error { b.write("Dockerfile", "FROM scratch\nCOPY <<E /e\nother\nE\n"); return nil }, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each has a store of its own, and much of it is to wait for the disk
			b := newBench(t, "FROM scratch\n"+c.dockerfile+"\n")
			for name, content := range map[string]string{"src/a": "A", "src/b": "B", "src/hard1": "H", "Gemfile": "1", "Gemfile.lock": "1", "left/x": "", ".dockerignore": "*\n!src\n!Gemfile*\n"} {
				b.write(name, content)
			}
			must(os.Remove(b.path("left/x")))(t)
			must(os.Remove(b.path("left")))(t)
			must(os.Link(b.path("src/hard1"), b.path("src/hard2")))(t)
			must(os.Symlink("a", b.path("src/link")))(t)
			before, _ := b.build()
			if c.change != nil {
				require.NoError(t, c.change(b))
			}
			after, told := b.sameAsFresh(c.again...)
			require.Equal(t, c.same, before == after, told)
		})
	}
}

func TestAskedAgainByETag(t *testing.T) {
	var content atomic.Value
	var full atomic.Int32
	content.Store("one")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag := `"` + content.Load().(string) + r.URL.RawQuery + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.Header().Del("ETag") // a server may leave it out of this answer (buildkit 2832)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		fmt.Fprint(w, content.Load().(string)+r.URL.RawQuery)
	}))
	defer server.Close()
	b := newBench(t, "FROM scratch\nADD "+server.URL+"/f?a /a\nADD "+server.URL+"/f?b /b\n") // buildx 2803, buildkit 4999: only the query differs
	first, _ := b.build()
	require.EqualValues(t, 2, full.Load())
	second, told := b.build()
	require.Equal(t, first, second, told)
	require.EqualValues(t, 2, full.Load(), "what has not changed was fetched again")
	content.Store("two")
	third, told := b.sameAsFresh()
	require.NotEqual(t, first, third)
	require.Contains(t, told, "changed")
}

// What was kept of a URL is used when it is whole and the server has the same version.
func TestKeptDownloads(t *testing.T) {
	var full atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
		if r.URL.Path == "/tagged" {
			w.Header().Set("ETag", `"same"`)
		}
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "content %d", full.Add(1))
	}))
	defer server.Close()
	b := newBench(t, "FROM scratch\nADD "+server.URL+"/tagged /a\n")
	first, _ := b.build()
	for _, damage := range []string{"", "conten", "CONTENT 1", "content 1 and more"} {
		kept := filepath.Join(b.Root, "cache/urls", digest.FromString(fmt.Sprintf("content %d", full.Load())).Encoded())
		require.NoError(t, os.WriteFile(kept, []byte(damage), 0o600))
		before := full.Load()
		id, told := b.build("--explain-cache")
		require.Equal(t, before+1, full.Load(), "what is damaged was used: %q", damage)
		require.NotEqual(t, first, id)
		require.Contains(t, told, digest.FromString(fmt.Sprintf("content %d", full.Load())).String())
	}
	sum := digest.FromString(fmt.Sprintf("content %d", full.Load()))
	b.write("Dockerfile", "FROM scratch\nADD --checksum="+sum.String()+" "+server.URL+"/tagged /a\n")
	b.build()
	_, told, err := b.try("--no-cache", "--max-layer-size", "5")
	require.Error(t, err, told) // also of what is here already
	b.write("Dockerfile", "FROM scratch\nADD --checksum="+digest.FromString("other").String()+" "+server.URL+"/tagged /a\n")
	_, told, err = b.try()
	require.Error(t, err)
	require.Contains(t, told, "checksum")

	b.write("Dockerfile", "FROM scratch\nADD "+server.URL+"/dated /a\n") // its time says nothing
	first, _ = b.build()
	second, _ := b.build()
	require.NotEqual(t, first, second)
}

// Two downloads are on their way at once: each answer waits for the other request.
func TestDownloadsSideBySide(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := asked.LoadOrStore(r.URL.Path, true); !again {
			both.Done()
		}
		both.Wait()
		fmt.Fprint(w, r.URL.Path)
	}))
	defer server.Close()
	b := newBench(t, "FROM scratch AS a\nADD "+server.URL+"/a /a\nFROM scratch AS b\nADD "+server.URL+"/b /b\nFROM scratch\nCOPY --from=a /a /a\nCOPY --from=b /b /b\n")
	b.build()
}

// A server is not asked for a repository: it would answer, with a page for people.
func TestNoPageForARepository(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, "<html>")
	}))
	defer server.Close()
	b := newBench(t, "FROM scratch\nADD "+server.URL+"/project.git#main /src\n")
	_, told, err := b.try()
	require.Error(t, err)
	require.Contains(t, told, "a git repository is not fetched: clone it beside the Dockerfile, and COPY it")
	require.Zero(t, asked.Load())
}

// A mount shows what it begins with, and a directory of its own for each owner and mode.
func TestMountsAreInputs(t *testing.T) {
	boxtest.Turn(t, 0, 3)
	b := newBench(t, "")
	counted := func(lines string, args ...string) string {
		b.write("Dockerfile", "FROM tiny AS maker\nARG V=1\nRUN echo $V >/made\nFROM tiny\nARG N\n"+lines+"\n")
		_, told := b.build(append(args, "--progress", "plain")...)
		return told
	}
	for _, kind := range []string{"bind", "cache"} {
		mount := "RUN --mount=type=" + kind + ",from=maker,target=/m cat /m/made"
		require.Contains(t, counted(mount), "\n  1\n", kind)
		require.Contains(t, counted(mount, "--build-arg", "V=2"), "\n  2\n", kind)
		require.Contains(t, counted(mount, "--build-arg", "V=2"), mount+"  # CACHED", kind)
	}
	const count = "target=/c echo x >>/c/n; wc -l </c/n; stat -c %u:%g:%a /c"
	for n, lines := range map[string]string{
		"\n  1\n  5:6:700\n": "RUN --mount=type=cache,uid=5,gid=6,mode=0700," + count,
		"\n  1\n  7:0:755\n": "RUN --mount=type=cache,uid=7," + count,
		"\n  1\n  0:0:755\n": "RUN --mount=type=cache," + count,
	} {
		if os.Geteuid() == 0 {
			require.Contains(t, counted(lines), n)
		}
	}
	twice := "RUN --mount=type=cache," + count + "\nRUN --mount=type=cache," + count + "; true"
	counted(twice, "--build-arg", "N=1")
	told := counted(twice, "--no-cache", "--build-arg", "N=2")
	require.Contains(t, told, "\n  1\n", "it does not begin empty")
	require.Contains(t, told, "\n  2\n", "it was emptied twice")
	told = counted(twice, "--build-arg", "N=3")
	require.Contains(t, told, "\n  3\n", "what --no-cache has left is not used")
}

func TestReasons(t *testing.T) {
	b := newBench(t, "FROM scratch\nARG VERSION=1.2\nCOPY src /src\nWORKDIR /w$VERSION\nENV A=b\n")
	b.write("src/main.go", "package main\n")
	_, told := b.build()
	require.NotContains(t, told, "#")
	b.write("src/main.go", "package other\n")
	_, told = b.build()
	require.Contains(t, told, "COPY src /src  # src/main.go changed (content)\n")
	require.Contains(t, told, "ENV A=b  # parent changed (step 3)\n")
	_, told = b.build("--explain-cache")
	require.Contains(t, told, "file src/main.go = ")
	require.NoError(t, os.RemoveAll(filepath.Join(b.Root, "cache/steps")))
	_, told = b.build()
	require.Contains(t, told, "COPY src /src  # it is no longer in the cache\n")
}

// TestStepsWaitForTheDiskTogether holds that a build waits for the disk once, also one that fails;
// and that a step whose layer was not on the disk when the machine went down is made again.
func TestStepsWaitForTheDiskTogether(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	b := newBench(t, "FROM scratch\nCOPY one /\nCOPY two /\nCOPY three /\n")
	b.write("one", "1")
	b.write("two", "2")
	calls := b.path("calls")
	trace := func() (told string, err error) {
		cmd := exec.Command("strace", "-f", "-qq", "-e", "trace=syncfs", "-o", calls, box, "build", "-t", "it", b.dir)
		cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
		out, err := cmd.CombinedOutput()
		made, errRead := os.ReadFile(calls)
		require.NoError(t, errRead)
		require.Equal(t, 1, strings.Count(string(made), "syncfs("), "%s\n%s", made, out)
		return string(out), err
	}
	_, err := trace()
	require.ErrorContains(t, err, "exit status 1")
	b.write("three", "3")
	told, err := trace()
	require.NoError(t, err, told)
	require.Equal(t, 2, strings.Count(told, "CACHED"))
	image, err := b.layout().Find("it")
	require.NoError(t, err)
	layers := image.Config.RootFS.DiffIDs
	require.NoError(t, os.WriteFile(filepath.Join(b.layers().Path(layers[1]), "two"), nil, 0o644))
	require.NoError(t, os.Symlink("another-boot", b.layers().Path(layers[1])+".unsynced"))
	require.NoError(t, state.Mark(b.layers().Path(layers[0])))
	_, told = b.build("-t", "it")
	require.Contains(t, told, "COPY two /  # its layer was removed\n")
	require.Equal(t, 2, strings.Count(told, "CACHED"), told)
	data, err := os.ReadFile(filepath.Join(b.layers().Path(layers[1]), "two"))
	require.NoError(t, err)
	require.Equal(t, "2", string(data))
	left, err := filepath.Glob(b.Store.path("layers", "*.unsynced"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Whatever is wrong with the cache, the image is right.
func TestBrokenCache(t *testing.T) {
	boxtest.Slow(t)
	for name, breaks := range map[string]func(b *bench) error{
		"damaged entries": func(b *bench) error { return b.eachFile("steps", func(p string) error { return flip(p) }) },
		"half entries": func(b *bench) error {
			return b.eachFile("steps", func(p string) error { return os.Truncate(p, 40) })
		},
		"half reasons":   func(b *bench) error { return b.eachFile("slots", func(p string) error { return os.Truncate(p, 90) }) },
		"half checksums": func(b *bench) error { return b.eachFile("files", func(p string) error { return os.Truncate(p, 20) }) },
		"no layers": func(b *bench) error {
			layers, err := filepath.Glob(filepath.Join(b.Root, "layers/*"))
			for _, layer := range layers {
				if err == nil {
					err = removeTree(layer)
				}
			}
			return err
		},
		"a newer version": func(b *bench) error {
			return os.WriteFile(filepath.Join(b.Root, "cache/version"), []byte("99\n"), 0o644)
		},
		"a file for a dir": func(b *bench) error { return replaceDir(filepath.Join(b.Root, "cache/steps")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "FROM scratch\nCOPY src /src\nWORKDIR /w\nCOPY src/a /b\n")
			b.write("src/a", "A")
			b.build()
			require.NoError(t, breaks(b))
			id, told := b.build()
			require.Contains(t, b.describe(id), fmt.Sprintf("./src/a 100644 %d:%d 1 ", os.Geteuid(), os.Getegid())+digest.FromString("A").Encoded()[:16])
			if !strings.HasPrefix(name, "half r") && !strings.HasPrefix(name, "half c") { // those are not of the steps
				require.NotContains(t, told, "CACHED", name)
			}
			if strings.HasPrefix(name, "a ") {
				require.Contains(t, told, "this build goes on without it")
			}
		})
	}
}

func (b *bench) eachFile(dir string, do func(path string) error) error {
	paths, err := filepath.Glob(filepath.Join(b.Root, "cache", dir, "*"))
	for _, path := range paths {
		if err == nil {
			err = do(path)
		}
	}
	return err
}

// flip changes one bit in the middle of a file.
func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/3] ^= 1
	return os.WriteFile(path, data, 0o644)
}

func replaceDir(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

// someDockerfile is one at random whose image depends on nothing but what a key shall hold.
func someDockerfile(r *rand.Rand) string {
	lines := []string{"ARG V=1", "FROM base AS one", "ARG V"}
	step := func(n int) string {
		return []string{
			fmt.Sprintf("COPY src /k%d", n), fmt.Sprintf("COPY src/f* /g%d/", n), fmt.Sprintf("COPY --chmod=7%d5 src/f1 /h%d", n%8, n),
			fmt.Sprintf("RUN (cat /k*/* /g*/* /base; ls /; pwd; echo $V $E) >/r%d 2>/dev/null", n),
			fmt.Sprintf("RUN --mount=type=bind,target=/m cat /m/src/* 2>/dev/null >/m%d; :", n), fmt.Sprintf("ENV E=$V-%d", n), fmt.Sprintf("WORKDIR w%d", n),
			fmt.Sprintf("LABEL l%d=$V", n), "RUN rm -rf /k1 /g2", fmt.Sprintf("COPY --exclude=f2 src /x%d", n), fmt.Sprintf("ADD src/f3 /a%d/$V/", n),
		}[r.IntN(11)]
	}
	for n := range 1 + r.IntN(4) {
		lines = append(lines, step(n))
	}
	if r.IntN(2) == 0 {
		lines = append(lines, []string{"FROM base", "FROM one", "FROM scratch"}[r.IntN(3)], "COPY --from=one /r* /base /from/", "ARG V", "COPY src /last$V")
	}
	return strings.Join(lines, "\n") + "\n"
}

// someChange changes something in the context, the arguments or the base.
func (b *bench) someChange(r *rand.Rand, args []string) []string {
	name := b.path("src", fmt.Sprintf("f%d", r.IntN(4)))
	switch r.IntN(9) {
	case 0, 1:
		b.write("src/"+filepath.Base(name), strconv.Itoa(r.IntN(3)))
	case 2:
		require.NoError(b.t, os.RemoveAll(name))
	case 3:
		if _, err := os.Stat(name); err == nil {
			require.NoError(b.t, os.Chmod(name, []os.FileMode{0o600, 0o755}[r.IntN(2)]))
		}
	case 4:
		return []string{"--build-arg", fmt.Sprint("V=", r.IntN(3))}
	case 5:
		b.write(".dockerignore", []string{"", "src/f1", "*\n!src"}[r.IntN(3)])
	case 6:
		b.makeBase(r.IntN(3))
	case 7:
		require.NoError(b.t, os.RemoveAll(b.path("src/link")))
		require.NoError(b.t, os.Symlink(filepath.Base(name), b.path("src/link")))
	case 8:
		b.write("Dockerfile", someDockerfile(r))
	}
	return args
}

func (b *bench) makeBase(n int) {
	b.write("../base/Dockerfile", fmt.Sprintf("FROM tiny\nRUN echo %d >/base\n", n))
	other := *b
	other.dir = b.path("../base")
	other.build("-t", "base")
}

// A build with the cache gives what one without it gives, after 24 changes or in the long
// form a thousand.
func TestCachedIsFresh(t *testing.T) {
	boxtest.Slow(t)
	seeds, cases := boxtest.Random(t), 24
	if boxtest.Long() {
		cases = 1000
	}
	var hits atomic.Int32
	for worker := range 4 {
		r := rand.New(rand.NewPCG(seeds.Uint64(), uint64(worker)))
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, someDockerfile(r))
			b.dir = filepath.Join(b.dir, "context")
			b.write("src/f1", "1")
			b.write("src/f3", "1")
			b.makeBase(0)
			b.write("Dockerfile", someDockerfile(r))
			var args []string
			for n := range cases / 4 {
				args = b.someChange(r, args)
				id, told, err := b.try(args...)
				fresh, toldFresh, errFresh := b.try(append([]string{"--no-cache"}, args...)...)
				if err != nil || errFresh != nil { // such as a source that is not there: with and without the cache
					require.Error(t, err, "change %d: %s\n%s", n, told, toldFresh)
					require.Error(t, errFresh, "change %d: %s\n%s", n, told, toldFresh)
					continue
				}
				hits.Add(int32(strings.Count(told, "CACHED")))
				require.Equal(t, b.describe(fresh), b.describe(id), "change %d: %s", n, told)
			}
		})
	}
	t.Cleanup(func() { require.Positive(t, hits.Load()) })
}

// A kill at any instant, of 24 or in the long form of 500, leaves a store in which the next
// build makes the right image.
func TestKilledAtAnyInstant(t *testing.T) {
	boxtest.Slow(t)
	r, kills := boxtest.Random(t), 24
	if boxtest.Long() {
		kills = 500
	}
	b := newBench(t, "FROM tiny\nCOPY src /src\nRUN cat /src/f >/g\nRUN cat /g /g >/h\nWORKDIR /w\n")
	b.write("src/f", "first")
	b.build()
	b.write("src/f", "timed")
	begun := time.Now()
	b.build()
	lasts := time.Since(begun) // and four at once longer
	var all sync.WaitGroup
	places := make(chan struct{}, 4)
	for n := range kills {
		at := time.Duration(r.Int64N(int64(3 * lasts)))
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			one := *b
			one.dir = t.TempDir()
			one.write("Dockerfile", "FROM tiny\nCOPY src /src\nRUN cat /src/f >/g\nRUN cat /g /g >/h\nWORKDIR /w\n")
			text := strconv.Itoa(n / 2) // two builds want the same
			one.write("src/f", text)
			cmd := exec.Command(box, "build", one.dir)
			cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(at)
			if err := cmd.Process.Kill(); err == nil {
				cmd.Wait()
			}
			if n%4 != 0 {
				return
			}
			id, told, err := one.try("-t", fmt.Sprint("image", n))
			if err != nil {
				t.Errorf("kill %d: %v\n%s", n, err, told)
				return
			}
			if sum := " 1 " + digest.FromString(text + text).Encoded()[:16]; !strings.Contains(one.describe(id), fmt.Sprintf("./h 100644 %d:%d", os.Geteuid(), os.Getegid())+sum) {
				t.Errorf("kill %d: /h is wrong\n%s", n, told)
			}
		})
	}
	all.Wait()
}

// Two builds at once make a step once: the command counts itself.
func TestTwoBuildsAtOnce(t *testing.T) {
	boxtest.Slow(t)
	b := newBench(t, "FROM tiny\nRUN --mount=type=cache,target=/count,sharing=locked echo x >>/count/n; sleep 0.3; wc -l </count/n >/n\n")
	b.write("../base/Dockerfile", "FROM tiny\n")
	b.build("-f", b.path("../base/Dockerfile"))
	ids := make([]digest.Digest, 4)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() { ids[i], _, _ = b.try() })
	}
	all.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Contains(t, b.describe(ids[0]), digest.FromString("1\n").Encoded()[:16])
}

// A second machine takes the steps from the image that the first has pushed.
// TestStagesSideBySide builds four stages at once, whose RUN are containers of one process: each
// has a cgroup of its own, and ends no other's. They have the caller's limit on open files.
func TestStagesSideBySide(t *testing.T) {
	boxtest.Turn(t, 1, 3)
	var text strings.Builder
	for _, stage := range []string{"a", "b", "c", "d"} {
		fmt.Fprintf(&text, "FROM tiny AS %s\nRUN cat /proc/self/cgroup >/%[1]s; sleep 0.01; test \"$(ulimit -S -n)\" = 512\n", stage)
	}
	b := newBench(t, text.String()+"FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\nCOPY --from=d /d /\n")
	rounds := 3
	if boxtest.Long() {
		rounds = 200
	}
	for n := range rounds {
		cmd := exec.Command("/bin/sh", "-c", `ulimit -S -n 512; exec "$0" "$@"`, box, "build", "--no-cache", b.dir)
		cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "build %d: %s", n, out)
	}
}

func TestCacheThroughRegistry(t *testing.T) {
	boxtest.Slow(t)
	name := boxtest.StartRegistry(t, "") + "/app:1"
	const file = "FROM tiny\nCOPY src /src\nRUN date +%N >/stamp\nENV A=b\n"
	first := newBench(t, file)
	first.write("src/f", "x")
	want, _ := first.build("-t", name, "--cache-to", "inline")
	first.box("push", name)
	base := first.path("../tiny.tar")
	first.box("save", "-o", base, "tiny")
	machine := func(content string) *bench {
		b := newBench(t, file)
		b.write("src/f", content)
		b.box("load", "-i", base)
		return b
	}
	got, told := machine("x").build("--cache-from", name)
	require.Equal(t, want, got)
	require.Equal(t, 3, strings.Count(told, "# CACHED"), told)
	_, told = machine("y").build("--cache-from", name)
	require.NotContains(t, told, "# CACHED")
	other, told := machine("x").build()
	require.NotEqual(t, want, other, "without the image's steps, the stamp is another")
	require.NotContains(t, told, "# CACHED")
}

// box runs another command on the store.
func (b *bench) box(args ...string) {
	cmd := exec.Command(box, args...)
	cmd.Env = append(os.Environ(), "BOX_ROOT="+b.Root)
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, string(out))
}

// TestOutputsAreCached: a build that makes no image leaves its steps in the cache, and the picture of
// them and an archive do not get into each other's way.
func TestOutputsAreCached(t *testing.T) {
	b := newBench(t, "FROM scratch\nCOPY file /\n")
	b.write("file", "text\n")
	out := filepath.Join(t.TempDir(), "out")
	for range 2 {
		_, told := b.build("-o", out)
		require.Contains(t, told, "wrote "+out+" (local): 1 file, 5 B\n")
	}
	id, told := b.build("-q", "-o", out, "-o", "type=image", "--picture", "text")
	require.Empty(t, told)
	require.Contains(t, id, "cached  COPY file")
	archive, told, err := b.try("-o", "-", "--picture", "text")
	require.Error(t, err)
	require.Empty(t, archive)
	require.Equal(t, "box: --picture is on standard output, and so is an --output: add dest=FILE to that\n", told)
}
