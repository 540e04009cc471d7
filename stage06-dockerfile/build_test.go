package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// buildFile builds a Dockerfile in an empty directory.
func buildFile(t *testing.T, text string, flags ...string) (stdout, stderr string, status int) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644))
	return run(t, append(append([]string{"build"}, flags...), dir)...)
}

// config returns the configuration of an image that was built.
func config(t *testing.T, id string) (config oci.Config) {
	image, err := Store{Root: os.Getenv("BOX_ROOT")}.layout().Find(strings.TrimSpace(id))
	require.NoError(t, err)
	return image.Config
}

func TestHistoryHasWholeScripts(t *testing.T) {
	id, stderr, status := buildFile(t, "FROM tiny\nRUN <<A <<-B cat\none\nA\n\ttwo\nB\nRUN true \\\n  and more\n", "-q")
	require.Zero(t, status, stderr)
	history := config(t, id).History
	require.Equal(t, "RUN <<A <<-B cat\none\nA\n\ttwo\nB", history[1].CreatedBy)
	require.Equal(t, "RUN true   and more", history[2].CreatedBy)
}

// Whatever a build is called, its steps see the same.
func TestEnvironmentOfSteps(t *testing.T) {
	t.Setenv("HOSTNAME", "the-callers")
	id, stderr, status := buildFile(t, "FROM tiny\nENV B=2\nARG A=1\nRUN [\"cp\", \"/proc/self/environ\", \"/env\"]\nCMD [\"cat\", \"/env\"]\n", "-q",
		"--build-arg", "HTTP_PROXY=http://a:1", "--build-arg", "no_proxy=x,y", "--build-arg", "all_proxy=low", "--build-arg", "ALL_PROXY=HIGH", "--build-arg", "ftp_proxy=")
	require.Zero(t, status, stderr)
	env, stderr, status := run(t, "run", "--rm", strings.TrimSpace(id))
	require.Zero(t, status, stderr)
	require.ElementsMatch(t, []string{"A=1", "ALL_PROXY=low", "B=2", "HOME=/root", "HTTP_PROXY=http://a:1", "NO_PROXY=x,y", "PATH=" + plan.DefaultPath,
		"all_proxy=low", "http_proxy=http://a:1", "no_proxy=x,y"}, strings.Split(strings.Trim(env, "\x00"), "\x00"))
}

func TestDevicesOfSteps(t *testing.T) {
	_, stderr, status := buildFile(t, "FROM tiny\nRUN --device=vendor.example/gpu=all --device=name=a/b=c,required=false true\n")
	require.Zero(t, status, stderr)
	_, stderr, status = buildFile(t, "FROM tiny\nRUN --device=vendor.example/gpu=all,required true\n")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "--device=vendor.example/gpu=all: it is required")
}

// The shell executes the file, so the #! line counts.
func TestScriptOfAnInterpreter(t *testing.T) {
	id, stderr, status := buildFile(t, "FROM tiny\nSHELL [\"/bin/sh\", \"-x\", \"-c\"]\nRUN <<EOF\n#!/bin/cat\nof cat\nEOF\nRUN <<EOF\n#!/bin/sh\necho $0 >/name\nEOF\nCMD [\"cat\", \"/name\"]\n", "--progress", "plain")
	require.Zero(t, status, stderr)
	require.Contains(t, stderr, "+ /dev/pipes/EOF\n  #!/bin/cat\n  of cat\n")
	out, _, _ := run(t, "run", "--rm", strings.TrimSpace(id))
	require.Equal(t, "/dev/pipes/EOF\n", out)
}

func TestTriggersAreCounted(t *testing.T) {
	_, stderr, status := buildFile(t, "FROM tiny\nONBUILD RUN true\nONBUILD ENV A=1\n", "-q", "-t", "with-triggers")
	require.Zero(t, status, stderr)
	_, stderr, status = buildFile(t, "FROM with-triggers AS one\nONBUILD RUN true\nFROM one AS two\nRUN true\n", "--progress", "plain")
	require.Zero(t, status, stderr)
	require.Contains(t, stderr, "[one 1/7] FROM with-triggers AS one\n")
	require.Contains(t, stderr, "[two 7/7] RUN true\n")
}

func TestLinkedCopiesTakeNumbers(t *testing.T) {
	for flags, want := range map[string]int{"--link --chown=root": 1, "--link --chown=0:root": 1, "--link --chown=0:0": 0, "--link --chown=root --chmod=644": 0, "--chown=root": 0} {
		_, stderr, status := buildFile(t, "FROM tiny\nCOPY "+flags+" Dockerfile /x\n", "-q")
		require.Equal(t, want, status, "%s: %s", flags, stderr)
		require.Equal(t, want == 1, strings.Contains(stderr, "it takes numbers"), stderr)
	}
}

func TestWarningsAfterABuild(t *testing.T) {
	const text = "FROM tiny AS Base\nMAINTAINER me\n"
	out, stderr, status := buildFile(t, text, "--progress", "plain")
	require.Zero(t, status, stderr)
	require.Contains(t, stderr, "warning: Dockerfile:1: StageNameCasing: ")
	require.Contains(t, stderr, "warning: Dockerfile:2: MaintainerDeprecated: ")
	require.True(t, strings.HasPrefix(out, "sha256:") && strings.Count(out, "\n") == 1, out)
	_, stderr, status = buildFile(t, text, "-q")
	require.Zero(t, status)
	require.Empty(t, stderr)
	_, stderr, _ = buildFile(t, text, "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all")
	require.NotContains(t, stderr, "warning:")

	_, stderr, _ = buildFile(t, "FROM scratch\nCMD [\"a\"\n")
	require.Contains(t, stderr, "BrokenJSON: this looks like a JSON array of strings but is not valid JSON, so it is taken as plain text\n")

	out, stderr, status = buildFile(t, text, "--check")
	require.Equal(t, 1, status)
	require.Equal(t, 2, strings.Count(out, "\n"))
	require.Empty(t, stderr)
	out, _, status = buildFile(t, "FROM tiny\n", "--check")
	require.Zero(t, status)
	require.Contains(t, out, "no warnings")
	out, stderr, status = buildFile(t, text+"RUNN x\n", "--check")
	require.Equal(t, 1, status)
	require.Contains(t, out, "Dockerfile:2: MaintainerDeprecated")
	require.Contains(t, stderr, "did you mean RUN?")
	_, stderr, status = buildFile(t, "FROM tiny:a:b\n", "--check")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, `"tiny:a:b" is neither an image's name`)
}

func TestAnnotationsAreTheManifests(t *testing.T) {
	id, stderr, status := buildFile(t, "FROM tiny\n", "-q", "--annotation", "a=b c", "--annotation", "manifest:d=e")
	require.Zero(t, status, stderr)
	s := Store{Root: os.Getenv("BOX_ROOT")}
	list, err := s.layout().Images()
	require.NoError(t, err)
	for _, image := range list {
		if image.ID.String() == strings.TrimSpace(id) && len(image.Names) == 0 {
			var manifest ocispec.Manifest
			require.NoError(t, s.layout().ReadJSON(image.Manifest.Digest, &manifest))
			require.Equal(t, map[string]string{"a": "b c", "d": "e"}, manifest.Annotations)
			return
		}
	}
	t.Fatal("the image is not in the store")
}

// Two builds at different times make the same image, digest for digest.
func TestEpochMakesBuildsEqual(t *testing.T) {
	const text = "FROM tiny\nRUN mkdir /d; echo x >/d/f; ln -s f /d/l; rm /bin/cp\nCOPY Dockerfile /dir/\nWORKDIR /w\nENV A=1\n"
	args := []string{"-q", "--no-cache", "--rewrite-timestamp", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"}
	first, stderr, status := buildFile(t, text, args...)
	require.Zero(t, status, stderr)
	second, stderr, status := buildFile(t, text, args...)
	require.Zero(t, status, stderr)
	require.Equal(t, first, second)
	c, at := config(t, first), time.Unix(1e9, 0).UTC()
	require.Equal(t, at, *c.Created)
	for _, step := range c.History[1:] {
		require.Equal(t, at, *step.Created, step.CreatedBy)
	}
	require.NotEqual(t, at, *c.History[0].Created, "the base keeps its own")

	t.Setenv("SOURCE_DATE_EPOCH", "5")
	id, _, status := buildFile(t, "FROM tiny\nENV A=1\n", "-q")
	require.Zero(t, status)
	require.EqualValues(t, 5, config(t, id).Created.Unix())
	t.Setenv("SOURCE_DATE_EPOCH", "")
	id, _, status = buildFile(t, "ARG SOURCE_DATE_EPOCH=6\nFROM tiny\nENV A=1\n", "-q")
	require.Zero(t, status)
	require.EqualValues(t, 6, config(t, id).Created.Unix())
	id, _, status = buildFile(t, "ARG SOURCE_DATE_EPOCH=context\nFROM tiny\nARG SOURCE_DATE_EPOCH=none\nENV A=$SOURCE_DATE_EPOCH\n", "-q")
	require.Zero(t, status)
	require.Contains(t, config(t, id).Config.Env, "A=none", "a directory has no time of its own")
	require.Greater(t, config(t, id).Created.Unix(), int64(1e9))
	_, stderr, status = buildFile(t, text, "--rewrite-timestamp")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "SOURCE_DATE_EPOCH is not set")
}

// The file of the id is there before the first warning: what follows a build reads it even if
// nothing reads the warnings. The pipe is too small for them, so box waits for the reader.
func TestIDFileBeforeWarnings(t *testing.T) {
	dir, id := t.TempDir(), filepath.Join(t.TempDir(), "id")
	text := "FROM scratch\n" + strings.Repeat("MAINTAINER me\n", 200)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644))
	in, out, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	_, err = unix.FcntlInt(out.Fd(), unix.F_SETPIPE_SZ, 4096)
	require.NoError(t, err)
	build := exec.Command(box, "build", "--iidfile", id, dir)
	build.Stderr = out
	require.NoError(t, build.Start())
	require.NoError(t, out.Close())
	lines := bufio.NewReader(in)
	for line := ""; !strings.HasPrefix(line, "warning: "); {
		line, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	require.FileExists(t, id)
	_, err = io.Copy(io.Discard, lines)
	require.NoError(t, err)
	require.NoError(t, build.Wait())
}

// A build that waits for its Dockerfile ends when it is asked to.
func TestWaitingBuildsEndOnSignals(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		cmd := exec.Command(box, "build", "-q", "-")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		_, err = io.WriteString(in, strings.Repeat("#\n", 40000)) // more than the pipe holds: it reads
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(signal))
		require.Error(t, cmd.Wait())
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), stderr.String())
		require.Contains(t, stderr.String(), "interrupted")
	}
}

// An ordinary user, too, makes directories that the user could not enter.
func TestModesOfDirectories(t *testing.T) {
	id, stderr, status := buildFile(t, "FROM scratch\nCOPY --chmod=644 Dockerfile /data/\nCOPY --chmod=600 . /e/\n", "-q")
	require.Zero(t, status, stderr)
	image, err := Store{Root: os.Getenv("BOX_ROOT")}.layout().Find(strings.TrimSpace(id))
	require.NoError(t, err)
	_, stderr, status = run(t, "save", "-o", filepath.Join(t.TempDir(), "image.tar"), strings.TrimSpace(id)) // writes the blobs
	require.Zero(t, status, stderr)
	var modes []string
	for _, d := range image.Blobs {
		list, err := exec.Command("tar", "-tvf", Store{Root: os.Getenv("BOX_ROOT")}.layout().Path(d.Digest)).CombinedOutput()
		require.NoError(t, err, "%s", list)
		for line := range strings.Lines(string(list)) {
			words := strings.Fields(line)
			modes = append(modes, words[0]+" "+words[len(words)-1])
		}
	}
	require.Equal(t, []string{"drw-r--r-- data/", "-rw-r--r-- data/Dockerfile", "drw------- e/", "-rw------- e/Dockerfile"}, modes)
}

// An image of no step has no time, and so the same id from every build.
func TestScratchAlone(t *testing.T) {
	first, stderr, status := buildFile(t, "FROM scratch\n", "-q")
	require.Zero(t, status, stderr)
	require.Nil(t, config(t, first).Created)
	second, stderr, status := buildFile(t, "FROM scratch AS named\n", "-q", "--no-cache")
	require.Zero(t, status, stderr)
	require.Equal(t, first, second)
}

// A device 0:0 of the context would be a whiteout in the layer, and was left out without a word.
func TestWhiteoutInContext(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /to/\n"), 0o644))
	if err := unix.Mknod(filepath.Join(dir, "device"), unix.S_IFCHR|0o600, 0); err != nil {
		t.Skip("this user may make no device: " + err.Error())
	}
	_, stderr, status := run(t, "build", dir)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "/to/device: a device with the numbers 0:0 cannot be in a layer")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("device\n"), 0o644))
	_, stderr, status = run(t, "build", dir)
	require.Zero(t, status, stderr)
}

// What a build refuses is named: a platform, also by --check, and what is too large.
func TestRefusedByName(t *testing.T) {
	_, stderr, status := buildFile(t, "FROM scratch\n", "-t", "localhost:1/tiny")
	require.Zero(t, status, stderr)
	for _, c := range []struct {
		text, told string
		flags      []string
	}{
		{"FROM --platform=linux/nothing scratch\n", "--platform=linux/nothing: platform linux/nothing: unknown architecture nothing", []string{"--check"}},
		{"ARG NONE\nFROM --platform=$NONE scratch\n", "--platform=$NONE: it is empty when its variables are replaced", nil},
		{"FROM tiny\nUSER nosuch\nRUN true\n", `Dockerfile:3: user nosuch: no such user in the container's /etc/passwd`, nil},
		{"FROM tiny\nRUN --network=host true\n", "Dockerfile:2: --network=host: not allowed; use box build --allow network.host\n", nil},
		{"FROM tiny\nRUN --security=insecure true\n", "Dockerfile:2: --security=insecure: not allowed; use box build --allow security.insecure\n", nil},
		{"FROM scratch\nADD --checksum=1 https://localhost:1/x.git#main:sub /\n", "Dockerfile:2: ADD https://localhost:1/x.git#main:sub: a git repository is not fetched: clone it beside the Dockerfile, and COPY it\n", nil},
		{"FROM scratch\nADD git@localhost:x /\n", "ADD git@localhost:x: a git repository is not fetched", nil},
		{"FROM localhost:1/tinny\n", "\n     did you mean localhost:1/tiny?\n", nil},
		{"FROM scratch\nCOPY ../x /\n", "COPY ../x: there is no such file in the context, which no .. leaves: build with a directory above it", nil},
		{"FROM scratch\nCOPY /etc/hosts /\n", "there is no such file in the context, which an absolute path begins in, too: / is not the host's\n", nil},
		{"FROM scratch\nCOPY x /\n", "there is no such file in the context\n", nil},
		{"FROM scratch AS app\n", "--target ap: no stage has this name or number; available: app\n     did you mean app?\n", []string{"--target", "ap"}},
		{"FROM tiny\nRUN --mount=type=cache true\n", "--mount=type=cache: target is missing: the path inside\n", nil},
		{"FROM scratch\n", "--max-layer-window 4 GiB: give 1k to 2g", []string{"--max-layer-window", "4g"}},
	} {
		_, stderr, status := buildFile(t, c.text, c.flags...)
		require.NotZero(t, status, c.text)
		require.Contains(t, stderr, c.told)
	}
	server := serve(t, []caseFile{{path: "file", data: make([]byte, 2000)}})
	_, stderr, status = buildFile(t, "FROM scratch\nADD "+server+"/file /\n", "--max-layer-size", "1k")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "the download is larger than 1 KiB")
}

// TestRunLimits: --shm-size and --ulimit are what the kernel says inside RUN, and 64 MiB is the default.
func TestRunLimits(t *testing.T) {
	const shm = "FROM tiny\nRUN df -k /dev/shm | grep -q ' %s '\n"
	for _, c := range []struct {
		text  string
		flags []string
	}{
		{fmt.Sprintf(shm, "65536"), nil},
		{fmt.Sprintf(shm, "65536"), []string{"--shm-size", "0"}},
		{fmt.Sprintf(shm, "1024"), []string{"--shm-size", "1m"}},
		{"FROM tiny\nRUN test \"$(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)\" = '100 200 0'\n", []string{"--ulimit", "nofile=100:200", "--ulimit", "core=0"}},
	} {
		_, stderr, status := buildFile(t, c.text, c.flags...)
		require.Zero(t, status, "%s: %s", c.flags, stderr)
	}
}

// TestBuildArgsNobodyTakes: a name that is misspelled is noticed, and one that needs no ARG is not.
func TestBuildArgsNobodyTakes(t *testing.T) {
	flags := []string{"-t", "args", "--build-arg", "USED=1", "--build-arg", "MISSPELT=1", "--build-arg", "HTTP_PROXY=x", "--build-arg", "TARGETARCH=x", "--build-arg", "BUILDKIT_X=1", "--label", "HOME"}
	id, stderr, status := buildFile(t, "ARG USED\nFROM tiny\nONBUILD ARG LATER\nRUN true\n", flags...)
	require.Zero(t, status, stderr)
	require.Equal(t, 1, strings.Count(stderr, "--build-arg"), stderr)
	require.Equal(t, map[string]string{"HOME": ""}, config(t, id).Config.Labels, "a label is not of the environment")
	require.Contains(t, stderr, "warning: --build-arg MISSPELT: the Dockerfile has no ARG MISSPELT\n")
	_, stderr, status = buildFile(t, "FROM args\nRUN true\n", "--build-arg", "LATER=1")
	require.Zero(t, status, stderr)
	require.NotContains(t, stderr, "--build-arg")
}

// TestBuildOnAFullDisk: what makes room follows the place in the Dockerfile. The disk is a tmpfs in a
// mount namespace of the test's.
func TestBuildOnAFullDisk(t *testing.T) {
	flags := "-rm"
	if os.Getuid() == 0 {
		flags = "-m"
	}
	if err := exec.Command("unshare", flags, "true").Run(); err != nil {
		t.Skipf("unshare %s: %v", flags, err)
	}
	script := `mount -t tmpfs -o size=256k tmpfs "$1" && echo FROM tiny | "$0" build --root "$1" -`
	out, err := exec.Command("unshare", flags, "sh", "-c", script, box, t.TempDir()).CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, `(?s)no space left on device\n.*\| FROM tiny\n.*\n     box rm, box rmi and, .* make room in the store;[^\n]*\n$`, string(out))
}
