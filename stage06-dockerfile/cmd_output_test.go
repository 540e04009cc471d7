package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// outputFile is a Dockerfile of two stages, the second of which has two layers.
const outputFile = "FROM tiny AS maker\nRUN echo big >/big\nFROM scratch\nCOPY --from=maker --chown=7:8 /big /a/big\nCOPY Dockerfile /a/\nLABEL x=y\n"

// TestOutputsOfOneBuild: several outputs, of which the image is kept, and only that has the names.
func TestOutputsOfOneBuild(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	stdout, stderr, status := buildFile(t, outputFile, "-o", at("files"), "-o", "type=tar,dest="+at("files.tar"), "-o", "type=docker", "-o", "type=oci,dest="+at("oci.tar"),
		"-t", "outputs:1", "-t", "outputs:2", "--iidfile", at("id"))
	require.Zero(t, status, stderr)
	for _, line := range []string{"files (local): 2 files, ", "files.tar (tar)\n", "oci.tar (oci)\n"} {
		require.Contains(t, stderr, "wrote "+at(line))
	}
	require.NotContains(t, stderr, "warning")
	id, err := os.ReadFile(at("id"))
	require.NoError(t, err)
	require.Equal(t, stdout, string(id)+"\n")
	require.Equal(t, "y", config(t, "outputs:2").Config.Labels["x"])
	unpacked := at("unpacked")
	require.NoError(t, os.Mkdir(unpacked, 0o755))
	for _, line := range []string{"tar -C unpacked --no-same-owner -pxf files.tar", "diff -r unpacked files", "tar -xOf files.tar a/big | grep -qx big"} {
		cmd := exec.Command("sh", "-euc", line)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
	}
	blobs := untarred(t, at("oci.tar"))
	var list []struct {
		Config   string
		RepoTags []string
	}
	require.NoError(t, json.Unmarshal(blobs["manifest.json"], &list))
	require.Len(t, list, 2)
	for i, image := range list {
		require.Equal(t, []string{fmt.Sprintf("outputs:%d", i+1)}, image.RepoTags)
		require.Equal(t, "blobs/sha256/"+strings.TrimPrefix(string(id), "sha256:"), image.Config)
	}
}

// TestImageArchivesAreAccepted by another tool, and are those of box save.
func TestImageArchivesAreAccepted(t *testing.T) {
	file, saved := filepath.Join(t.TempDir(), "image.tar"), filepath.Join(t.TempDir(), "saved.tar")
	id, stderr, status := buildFile(t, "FROM tiny\nCOPY Dockerfile /\n", "-q", "-o", "type=docker,dest="+file+",name=archived:1", "--annotation", "a=b")
	require.Zero(t, status, stderr)
	_, _, status = run(t, "save", "archived:1")
	require.NotZero(t, status, "the store has no such image")
	if _, err := exec.LookPath("skopeo"); err == nil {
		layout := t.TempDir() // skopeo, which unpacks an oci-archive itself, gives the files to root
		require.NoError(t, exec.Command("tar", "-C", layout, "--no-same-owner", "-xf", file).Run())
		for _, form := range []string{"docker-archive:" + file + ":archived:1", "oci:" + layout + ":1"} {
			out, err := exec.Command("skopeo", "--tmpdir", t.TempDir(), "inspect", "--format", "{{len .Layers}}", form).CombinedOutput()
			require.NoError(t, err, "%s: %s", form, out)
			require.Equal(t, "2\n", string(out))
		}
	}
	loaded, stderr, status := run(t, "load", "-i", file)
	require.Zero(t, status, stderr)
	require.Equal(t, "Loaded image: archived:1\n", loaded)
	stdout, stderr, status := run(t, "images", "-q", "--no-trunc", "archived:1")
	require.Zero(t, status, stderr)
	require.Equal(t, id, stdout)
	_, stderr, status = run(t, "save", "-o", saved, "archived:1")
	require.Zero(t, status, stderr)
	require.Equal(t, untarred(t, saved), untarred(t, file))
}

// TestOutputWithoutImage: --tag is for images, and --iidfile too.
func TestOutputWithoutImage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	stdout, stderr, status := buildFile(t, outputFile, "-q", "-t", "unnamed", "-o", out)
	require.Zero(t, status, stderr)
	require.Empty(t, stdout)
	require.Equal(t, "warning: --tag unnamed: no --output is an image; add --output type=image\n", stderr)
	_, _, status = run(t, "history", "unnamed")
	require.NotZero(t, status)
	_, stderr, status = buildFile(t, outputFile, "-o", "type=cacheonly", "--iidfile", out+"/id")
	require.Equal(t, 1, status)
	require.Equal(t, "box: --iidfile: no --output is an image; add --output type=image\n", stderr)
	stdout, stderr, status = buildFile(t, outputFile, "-q", "-o", "type=cacheonly")
	require.Zero(t, status, stderr)
	require.Empty(t, stdout+stderr)
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "as Docker makes it")
}

// TestTimesOfAnOutput: SOURCE_DATE_EPOCH is the time of all files, as in BuildKit.
func TestTimesOfAnOutput(t *testing.T) {
	archive, stderr, status := buildFile(t, outputFile, "-q", "-o", "-", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
	require.Zero(t, status, stderr)
	files := 0
	for r := tar.NewReader(strings.NewReader(archive)); ; files++ {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.EqualValues(t, 1000000000, h.ModTime.Unix(), h.Name)
	}
	require.Equal(t, 3, files)
}

// TestOutputIsInterrupted: a build that writes an archive which is not read on ends when it is asked to.
func TestOutputIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM tiny\n"), 0o644))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	cmd := exec.Command(box, "build", "-q", "-o", "type=tar,dest="+filepath.Join(dir, "fifo"), dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	in, err := os.Open(filepath.Join(dir, "fifo"))
	require.NoError(t, err)
	_, err = io.ReadFull(in, make([]byte, 1000)) // it writes
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	_, err = io.Copy(io.Discard, in)
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	require.Contains(t, stderr.String(), "box: the build was interrupted\n")
}

// TestOutputIsNotRead: a build whose archive goes to `| head -1` ends without a word, as tar does.
func TestOutputIsNotRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM tiny\n"), 0o644))
	cmd := exec.Command(box, "build", "-q", "-o", "-", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.Error(t, cmd.Wait())
	require.Equal(t, 128+int(unix.SIGPIPE), cmd.ProcessState.ExitCode())
	require.Empty(t, stderr.String())
}

// TestOutputsAskForTimes: as in Docker, an output may ask for what --rewrite-timestamp does.
func TestOutputsAskForTimes(t *testing.T) {
	file, at := filepath.Join(t.TempDir(), "image.tar"), "SOURCE_DATE_EPOCH=1000000000"
	want, stderr, status := buildFile(t, outputFile, "-q", "--rewrite-timestamp", "--build-arg", at)
	require.Zero(t, status, stderr)
	id, stderr, status := buildFile(t, outputFile, "-q", "--explain", "-o", "type=oci,rewrite-timestamp=true,dest="+file, "--build-arg", at)
	require.Zero(t, status, stderr)
	require.Equal(t, want, id)
	require.Contains(t, stderr, "wrote "+file+" (oci)\n", "--explain says so, whatever -q")
	_, stderr, status = buildFile(t, outputFile, "-o", "type=image,rewrite-timestamp=true")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "SOURCE_DATE_EPOCH is not set")
}
