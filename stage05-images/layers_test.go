package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// sh runs a script in a directory, and returns what it prints.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// tools skips a test where the host lacks a program.
func tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this host has no %s", name)
		}
	}
}

// filtered sends data through a program.
func filtered(t testing.TB, data []byte, argv ...string) []byte {
	t.Helper()
	tools(t, argv[0])
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

// tarEntry is a file of an archive.
type tarEntry struct {
	tar.Header
	body string
}

func tarFile(name, body string) tarEntry {
	return tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body))}, body}
}

func tarDir(name string) tarEntry {
	return tarEntry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}, ""}
}

func tarLink(kind byte, name, target string) tarEntry {
	return tarEntry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

// tarOf is an archive of these files, as they are.
func tarOf(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// layerTree lists what is in a directory: name, kind and mode, and content or target.
func layerTree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, files.Walk(fd, func(name string, fd int) error {
		h, _, err := files.Describe(name, fd)
		require.NoError(t, err)
		line := fmt.Sprintf("%s %c %o", h.Name, h.Typeflag, h.Mode)
		if union.IsOpaque(fd) {
			line += " opaque"
		}
		if h.Typeflag == tar.TypeReg {
			data, err := os.ReadFile(files.FDPath(fd))
			require.NoError(t, err)
			line += " " + string(data)
		}
		list = append(list, strings.TrimSpace(line+" "+h.Linkname))
		return nil
	}))
	return list
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBombs(t *testing.T) {
	many := tarOf(t, tarFile("a", ""), tarFile("b", ""), tarFile("c", ""))
	for _, c := range []struct {
		name   string
		r      io.Reader
		limits layer.LimitFlags
		says   string
	}{
		{"one file", bytes.NewReader(tarOf(t, tarFile("a", strings.Repeat("x", 2048)))), layer.LimitFlags{MaxLayerSize: 2047, MaxLayerFiles: 10}, "larger than 2 KiB: if you trust it, allow more with --max-layer-size"},
		{"zeros without end", io.MultiReader(bytes.NewReader(many), zeros{}), layer.LimitFlags{MaxLayerSize: 1 << 20, MaxLayerFiles: 10}, "larger than 1 MiB"},
		{"files", bytes.NewReader(many), layer.LimitFlags{MaxLayerSize: 1 << 20, MaxLayerFiles: 2}, "more than 2 files and directories: if you trust it, allow more with --max-layer-files"},
		{"directories that are implied", bytes.NewReader(tarOf(t, tarFile("a/b/c/d", ""))), layer.LimitFlags{MaxLayerSize: 1 << 20, MaxLayerFiles: 3}, "more than 3 files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := layer.Unpack(c.r, t.TempDir(), c.limits.Check)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestNoLimits(t *testing.T) {
	_, err := layer.Unpack(bytes.NewReader(tarOf(t, tarFile("a/b", "x"))), t.TempDir(), layer.LimitFlags{MaxLayerSize: -1, MaxLayerFiles: -1}.Check)
	require.NoError(t, err)
}
