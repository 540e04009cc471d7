package vm

import (
	"archive/tar"
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// tarOf is an archive of files; those that are regular have their names as content.
func tarOf(t *testing.T, files ...tar.Header) *tar.Reader {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range files {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(h.Name))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return tar.NewReader(&out)
}

// A machine begins with the files that were kept: owners, modes and times, links of both kinds,
// devices. What an earlier Keep has added is replaced.
func TestKeep(t *testing.T) {
	boxtest.Slow(t, "boots a virtual machine")
	t.Parallel()
	h, err := findHost()
	if err == nil {
		err = h.needsBusybox()
	}
	if err != nil {
		t.Skip(err)
	}
	root, err := Job{}.root(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	then := time.Unix(1_000_000_000, 0)
	require.NoError(t, root.Keep("/kept", tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "earlier", Mode: 0o600})))
	require.NoError(t, root.Keep("/kept", tarOf(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o750, Uid: 1000, Gid: 1001},
		tar.Header{Typeflag: tar.TypeReg, Name: "./first", Mode: 0o4755, Uid: 7, Gid: 8, ModTime: then},
		tar.Header{Typeflag: tar.TypeLink, Name: "./second", Linkname: "./first"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./link", Linkname: "first"},
		tar.Header{Typeflag: tar.TypeLink, Name: "./link2", Linkname: "./link"},
		tar.Header{Typeflag: tar.TypeChar, Name: "./gone"},
		tar.Header{Typeflag: tar.TypeLink, Name: "./gone2", Linkname: "./gone"},
		tar.Header{Typeflag: tar.TypeFifo, Name: "./fifo", Mode: 0o600})))
	m, err := Boot(t.Context(), root, Options{Memory: 512, CPUs: 1, Cgroups: "v2", Accel: "tcg", Silence: silence})
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	require.NoError(t, root.Forget())
	out, err := m.Output("sh", "-c", `cd /kept; echo *; stat -c "%n %F %a %u:%g" . first fifo; stat -c "%Y %h" first
		[ first -ef second ] && cat second; echo; readlink link; readlink link2; stat -c "%F %t:%T" gone gone2`)
	require.NoError(t, err)
	require.Equal(t, `fifo first gone gone2 link link2 second
. directory 750 1000:1001
first regular file 4755 7:8
fifo fifo 600 0:0
1000000000 2
./first
first
first
character special file 0:0
character special file 0:0
`, out)
}

// What cannot be kept is an error, and nothing of it is.
func TestKeepAllOrNothing(t *testing.T) {
	t.Parallel()
	if _, err := findHost(); err != nil {
		t.Skip(err)
	}
	root, err := NewRoot("/bin/true")
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	require.NoError(t, root.Finish())
	size := func() int64 {
		info, err := root.memory.Stat()
		require.NoError(t, err)
		return info.Size()
	}
	before := size()
	reg := tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600}
	require.ErrorContains(t, root.Keep("/kept", tarOf(t, reg, tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "c"})), "hard link to c")
	require.Equal(t, before, size())
	require.Error(t, root.Keep("/kept", tar.NewReader(bytes.NewReader(make([]byte, 700)))), "cut short")
	require.Equal(t, before, size())
	require.NoError(t, root.Keep("/kept", tarOf(t, reg)))
	require.Greater(t, size(), before)
	require.NoError(t, root.Forget())
	require.Equal(t, before, size())
}
