package main

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// buildCase is one build: its flags, the files of its context, and those of a web server.
// testdata/builds/README.md tells how it is written.
type buildCase struct {
	name   string
	flags  []string
	files  []caseFile
	server []caseFile

	needsIDs bool // more than the one of an ordinary user
}

// caseFile is a file of a case.
type caseFile struct {
	path     string
	kind     byte // as in an archive
	mode     int64
	uid, gid int
	time     time.Time
	link     string
	data     []byte
	major    int64 // of a device
	minor    int64
}

// beginning is when everything was made that does not say when: 2001-09-09.
var beginning = time.Unix(1e9, 0).UTC()

// readCases reads the cases of a file, in order.
func readCases(t testing.TB, name string) (cases []*buildCase) {
	src, err := os.ReadFile(name)
	require.NoError(t, err)
	for i, text := range strings.Split("\n"+string(src), "\n== ") {
		if i > 0 {
			cases = append(cases, readCase(t, text))
		}
	}
	return cases
}

// readCase reads a name, lines of which those that begin with a dash are flags, and files.
func readCase(t testing.TB, text string) *buildCase {
	parts := strings.Split(text, "\n-- ")
	head := strings.Split(parts[0], "\n")
	c := &buildCase{name: strings.TrimSpace(head[0])}
	for _, line := range head[1:] {
		if strings.HasPrefix(line, "-") {
			c.flags = append(c.flags, strings.SplitN(line, " ", 2)...)
		}
		c.needsIDs = c.needsIDs || line == "needs several ids"
	}
	archives := map[string][]caseFile{}
	for _, part := range parts[1:] {
		words, content, ok := strings.Cut(part, " --\n")
		if !ok {
			words, content = strings.TrimSuffix(part, " --"), ""
		} else if content != "" {
			content = strings.TrimSuffix(content, "\n") + "\n"
		}
		f := readCaseFile(t, c.name, strings.Fields(words), content)
		to := &c.files
		if served, is := strings.CutPrefix(f.path, "http://"); is {
			f.path, to = served, &c.server
		}
		archive, entry, inside := strings.Cut(f.path, "//")
		if !inside {
			*to = append(*to, f)
			continue
		}
		if archives[archive] == nil {
			*to = append(*to, caseFile{path: archive, kind: tar.TypeReg, mode: 0o644, time: beginning})
		}
		f.path = entry
		archives[archive] = append(archives[archive], f)
	}
	for _, list := range [][]caseFile{c.files, c.server} {
		for i, f := range list {
			if archives[f.path] != nil {
				list[i].data = compressed(t, f.path, makeTar(t, archives[f.path]))
			}
		}
	}
	return c
}

// readCaseFile reads `PATH WORD…`, or `PATH -> TARGET WORD…` for a link, `PATH = FIRST` for
// another name of a file.
func readCaseFile(t testing.TB, where string, words []string, content string) caseFile {
	f := caseFile{path: words[0], kind: tar.TypeReg, mode: 0o644, time: beginning, data: []byte(content)}
	if strings.HasSuffix(f.path, "/") {
		f.path, f.kind, f.mode = strings.TrimSuffix(f.path, "/"), tar.TypeDir, 0o755
	}
	for i := 1; i < len(words); i++ {
		key, value, _ := strings.Cut(words[i], "=")
		var err error
		switch {
		case words[i] == "->" || words[i] == "=":
			f.kind = map[string]byte{"->": tar.TypeSymlink, "=": tar.TypeLink}[words[i]]
			i++
			f.link = words[i]
		case key == "mode":
			f.mode, err = strconv.ParseInt(value, 8, 64)
		case key == "owner":
			_, err = fmt.Sscanf(value, "%d:%d", &f.uid, &f.gid)
		case key == "time":
			var seconds int64
			seconds, err = strconv.ParseInt(value, 10, 64)
			f.time = time.Unix(seconds, 0).UTC()
		case key == "char":
			f.kind = tar.TypeChar
			_, err = fmt.Sscanf(value, "%d:%d", &f.major, &f.minor)
		case key == "fifo":
			f.kind = tar.TypeFifo
		case key == "noeol":
			f.data = bytes.TrimSuffix(f.data, []byte("\n"))
		case key == "crlf":
			f.data = bytes.ReplaceAll(f.data, []byte("\n"), []byte("\r\n"))
		case key == "bom":
			f.data = append([]byte("\xef\xbb\xbf"), f.data...)
		case key == "base64":
			f.data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
		case key == "size":
			var n int
			n, err = strconv.Atoi(value)
			f.data = bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		default:
			err = fmt.Errorf("%s is not known", words[i])
		}
		require.NoError(t, err, "%s: %s", where, words)
	}
	return f
}

// makeTar is an archive of files.
func makeTar(t testing.TB, files []caseFile) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Typeflag: f.kind, Mode: f.mode, Uid: f.uid, Gid: f.gid, ModTime: f.time, Linkname: f.link,
			Size: int64(len(f.data)), Devmajor: f.major, Devminor: f.minor, Format: tar.FormatPAX}
		if f.kind == tar.TypeDir {
			h.Name += "/"
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write(f.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// compressed compresses as the name of a file says.
func compressed(t testing.TB, name string, data []byte) []byte {
	var out bytes.Buffer
	switch path.Ext(name) {
	case ".tgz", ".gz":
		w := gzip.NewWriter(&out)
		_, err := w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	case ".zst":
		w, err := zstd.NewWriter(&out)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	default:
		return data
	}
	return out.Bytes()
}

// makeContext makes the files of a case in a directory; what is on the way to them too.
func makeContext(t testing.TB, files []caseFile) string {
	dir := t.TempDir()
	for _, f := range files {
		full := filepath.Join(dir, f.path)
		for at := filepath.Dir(full); at != dir && !exists(at); at = filepath.Dir(at) {
			defer func() { require.NoError(t, os.Chtimes(at, beginning, beginning)) }()
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, f.make(dir, full))
	}
	for _, f := range slices.Backward(files) { // the times of directories when nothing is put into them any more
		if f.kind == tar.TypeDir {
			require.NoError(t, os.Chtimes(filepath.Join(dir, f.path), f.time, f.time))
		}
	}
	require.NoError(t, os.Chtimes(dir, beginning, beginning))
	return dir
}

func (f caseFile) make(dir, full string) (err error) {
	switch f.kind {
	case tar.TypeDir:
		err = os.MkdirAll(full, 0o755)
	case tar.TypeSymlink:
		err = os.Symlink(f.link, full)
	case tar.TypeLink:
		return os.Link(filepath.Join(dir, f.link), full)
	case tar.TypeFifo:
		err = unix.Mkfifo(full, 0o600)
	default:
		err = os.WriteFile(full, f.data, 0o600)
	}
	if err == nil && f.uid+f.gid > 0 {
		err = os.Lchown(full, f.uid, f.gid)
	}
	if err == nil && f.kind != tar.TypeSymlink {
		err = unix.Chmod(full, uint32(f.mode))
	}
	if err != nil {
		return err
	}
	at := unix.NsecToTimespec(f.time.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, full, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}
