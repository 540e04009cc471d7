package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/union"
)

// TestBuildForManyUsers builds as an ordinary user to whom more users are granted: nobody, in
// a mount namespace with files of its own in the place of /etc/subuid and /etc/subgid.
func TestBuildForManyUsers(t *testing.T) {
	boxtest.Slow(t)
	for _, name := range []string{"unshare", "setpriv", "newuidmap", "newgidmap", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this host has no %s", name)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can grant nobody more users for the time of a test")
	}
	dir, err := os.MkdirTemp("", "stagebox-many-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	shell := func(script string) string {
		cmd := exec.Command("sh", "-euc", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	shell("echo nobody:100000:65536 >granted; mkdir context; echo of the context >context/copied; chown -R nobody:nogroup .")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "context/Dockerfile"), []byte(`FROM tiny
COPY --chown=7:8 copied /copied
RUN mkdir -m 700 /d && echo secret >/d/f && chown 33:44 /d/f && chmod 4751 /d/f && chown 5 /d
RUN stat -c "%n %u:%g %a" /d /d/f /copied >/seen && chown 9 /copied && touch /d/g
`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(`
		$box build -q -t built context >/dev/null
		$box run --rm built sh -c 'cat /seen; stat -c "%n %u:%g" /copied /d/f'
		$box save built | tar -x
		for blob in blobs/sha256/*; do tar -tvf $blob --numeric-owner 2>/dev/null | grep -E ' (d/f?|copied)$' || true; done | awk '{ print $1, $2, $NF }' | sort
		$box build -q -o files context
		(cd files; find . ! -user nobody; stat -c '%n %U %a' d d/f copied)
		$box build -q -o - context | tar -tv --numeric-owner | grep -E ' (d/f?|copied)$' | awk '{ print $1, $2, $NF }' | sort
		$box rmi built tiny >/dev/null
		ls store/layers`), 0o644))
	out := shell("export HOME=$PWD BOX_ROOT=$PWD/store box=" + box + `
		exec unshare --mount sh -euc '
			mount --bind granted /etc/subuid
			mount --bind granted /etc/subgid
			exec setpriv --reuid nobody --regid nogroup --clear-groups sh -eu script'`)
	require.Equal(t, `/d 5:0 700
/d/f 33:44 4751
/copied 7:8 644
/copied 9:8
/d/f 33:44
-rw-r--r-- 7/8 copied
-rw-r--r-- 9/8 copied
-rwsr-x--x 33/44 d/f
drwx------ 5/0 d/
drwx------ 5/0 d/
d nobody 700
d/f nobody 4751
copied nobody 644
-rw-r--r-- 9/8 copied
-rwsr-x--x 33/44 d/f
drwx------ 5/0 d/
`, out)
}

// TestZerosAreNoArchive: ADD unpacks archives, and keeps what begins with zeros, as the image of
// a file system does.
func TestZerosAreNoArchive(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zeros"), make([]byte, 5000), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nADD zeros /\n"), 0o644))
	_, stderr, status := run(t, "build", "-q", "--root", s.Root, "-t", "zeros", dir)
	require.Zero(t, status, stderr)
	image, err := s.layout().Find("zeros")
	require.NoError(t, err)
	layers, err := s.layers().Stack(image)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(layers[0], "zeros"))
	require.NoError(t, err)
	require.EqualValues(t, 5000, info.Size())
}

// TestDirectoryAndALinkIntoIt: a pattern may find a directory, and by a link one that is in it.
func TestDirectoryAndALinkIntoIt(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/file"), nil, 0o644))
	require.NoError(t, os.Symlink("a/b", filepath.Join(dir, "z")))
	dockerfile := []byte("FROM scratch\nCOPY [a-z] /to/\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), dockerfile, 0o644))
	_, stderr, status := run(t, "build", "-q", "--root", s.Root, "-t", "link", dir)
	require.Zero(t, status, stderr)
	image, err := s.layout().Find("link")
	require.NoError(t, err)
	layers, err := s.layers().Stack(image)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(layers[0], "to/b/file"))
	require.FileExists(t, filepath.Join(layers[0], "to/file"))
}

// TestMountsOfAPlatform: the image of a mount is for the platform that is built for, whatever that of
// the step is. One for another platform is not taken.
func TestMountsOfAPlatform(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	t.Chdir(dir)
	const name = "127.0.0.1:1/app" // no registry
	build := func(dockerfile string, args ...string) (string, int) {
		require.NoError(t, os.WriteFile("Dockerfile", []byte(dockerfile), 0o644))
		_, stderr, status := run(t, append([]string{"build", "--root", s.Root, "--progress", "plain", "."}, args...)...)
		return stderr, status
	}
	require.NoError(t, os.WriteFile("file", []byte("of s390x\n"), 0o644))
	told, status := build("FROM scratch\nCOPY file /\n", "--platform", "linux/s390x", "-t", name)
	require.Zero(t, status, told)
	const step = "FROM --platform=$BUILDPLATFORM tiny\nRUN --mount=from=" + name + ",target=/m cat /m/file; uname -m\n"
	told, status = build(step, "--platform", "linux/s390x")
	require.Zero(t, status, told)
	require.Contains(t, told, "of s390x")
	told, status = build(step)
	require.NotZero(t, status)
	require.Contains(t, told, "this one is for linux/s390x")
	require.NotContains(t, told, "of s390x")
}

// TestContextIsShownAsItIs: a step sees the same, whether a mount of the context is an overlay,
// since it may only be read, or a copy.
func TestContextIsShownAsItIs(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	t.Chdir(dir)
	seen := func(ignore, dockerfile string) []string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(ignore), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM tiny\n"+dockerfile), 0o644))
		_, stderr, status := run(t, "build", "-q", "--root", s.Root, "-t", "seen", ".")
		require.Zero(t, status, stderr)
		image, err := s.layout().Find("seen")
		require.NoError(t, err)
		layers, err := s.layers().Stack(image)
		require.NoError(t, err)
		var files []string
		for _, name := range []string{"a", "b"} {
			data, err := os.ReadFile(filepath.Join(layers[len(layers)-1], name))
			require.NoError(t, err)
			files = append(files, string(data))
		}
		return files
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub/file"), []byte("text"), 0o640))
	require.NoError(t, os.Symlink("file", filepath.Join(dir, "sub/link")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "left-out"), nil, 0o644))
	const list = "ls -ldn /c /c/* /c/*/* | tr -s ' ' | cut -d' ' -f1,3,4,5,9-"
	const isOverlay = `while read -r a b c d at rest; do [ $at = /c ] && case $rest in *" - overlay "*) echo overlay;; *) echo copy;; esac; done </proc/self/mountinfo; true`
	for _, mount := range []string{"type=bind,target=/c", "type=bind,source=sub,target=/c"} {
		files := seen("", "RUN --mount="+mount+" ("+list+") >/a; ("+isOverlay+") >/b\n")
		copied := seen("", "RUN --mount="+mount+",rw ("+list+") >/a; ("+isOverlay+") >/b; touch /c/new\n")
		if union.CanShow(dir, s.Root) {
			require.Equal(t, "overlay\n", files[1])
		}
		require.Equal(t, "copy\n", copied[1])
		shown := func(text string) string {
			return regexp.MustCompile(`(?m)^d(\S+ \d+ \d+) \d+|.*Dockerfile\n`).ReplaceAllString(text, "d$1")
		}
		require.Contains(t, files[0], "/link")
		require.Equal(t, shown(copied[0]), shown(files[0]), mount)
	}
	require.NoFileExists(t, filepath.Join(dir, "new"))

	files := seen("left-out\n", "RUN --mount=type=bind,target=/c ls /c >/a; ("+isOverlay+") >/b\n")
	require.NotContains(t, files[0], "left-out")
	require.Equal(t, "copy\n", files[1])
	left, err := os.ReadDir(s.path("images/partial"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestMountsOfAnyName: paths of the store, of the context and in the container may have what --mount
// reads as its own marks.
func TestMountsOfAnyName(t *testing.T) {
	const name = "a,b \"c\":\n\\d"
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "context", "sub"), 0o755))
	t.Cleanup(func() { require.NoError(t, removeTree(dir)) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "context", "sub", "file"), []byte("of the context\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "context", "Dockerfile"), []byte(`FROM tiny
RUN --mount=type=cache,target=/cache --mount=type=bind,source=sub,\"target=/m,n\" --mount=type=bind,target=/rw,rw \
	cp /m,n/file /cache && cat /cache/file /rw/sub/file
`), 0o644))
	_, stderr, status := run(t, "build", "--root", filepath.Join(dir, "store"), "--progress", "plain", filepath.Join(dir, "context"))
	require.Zero(t, status, stderr)
	require.Contains(t, stderr, "of the context")
}

// TestCacheMountedTwice: a step may mount a cache at two places, and two steps may name the same two
// in any order.
func TestCacheMountedTwice(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(`FROM tiny
RUN --mount=type=cache,id=x,sharing=locked,target=/a --mount=type=cache,id=x,sharing=locked,target=/b touch /a/f && ls /b/f
RUN --mount=type=cache,id=y,sharing=private,target=/a --mount=type=cache,id=y,sharing=private,target=/b touch /a/f && ls /b/f
`), 0o644))
	cmd := exec.Command("timeout", "60", box, "build", "--root", filepath.Join(dir, "store"), dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestEmptyImage: what an image lacks, mounts and files that are copied into a container may bring. The
// static program that runs here is box.
func TestEmptyImage(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	require.NoError(t, exec.Command("cp", box, filepath.Join(dir, "box")).Run())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(`FROM scratch AS empty
CMD ["/box", "version"]
FROM empty
RUN --mount=type=bind,source=box,target=/box ["/box", "version"]
`), 0o644))
	in := func(args ...string) string {
		out, stderr, status := run(t, append([]string{args[0], "--root", s.Root}, args[1:]...)...)
		require.Zero(t, status, stderr)
		return out
	}
	in("build", "-q", dir)
	in("build", "-q", "--target", "empty", "-t", "empty", dir)
	version, _, _ := run(t, "version")
	require.Equal(t, version, in("run", "-v", box+":/box", "empty"))
	in("create", "--name", "filled", "empty")
	in("cp", box, "filled:/box")
	require.Equal(t, version, in("start", "-a", "filled"))
	_, stderr, status := run(t, "run", "--root", s.Root, "empty")
	require.Equal(t, 127, status)
	require.NotContains(t, stderr, s.Root, "nobody fills a layer of the store")
}

// TestLabelsOfAnImage: keys that --label refuses, as Docker's does, may come of an image.
func TestLabelsOfAnImage(t *testing.T) {
	s, dir := Store{Root: t.TempDir()}, t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nLABEL \"a b\"=c d=e\n"), 0o644))
	in := func(args ...string) string {
		out, stderr, status := run(t, append([]string{args[0], "--root", s.Root}, args[1:]...)...)
		require.Zero(t, status, stderr)
		return out
	}
	in("build", "-q", "-t", "labels", dir)
	in("create", "--name", "labels", "--label", "d=f", "labels", "/x")
	require.JSONEq(t, `{"a b": "c", "d": "f"}`, in("inspect", "-f", "{{json .Config.Labels}}", "labels"))
	_, stderr, status := run(t, "create", "--root", s.Root, "--label", "a b=c", "labels", "/x")
	require.Equal(t, 125, status)
	require.Contains(t, stderr, "a key without blanks")
}
