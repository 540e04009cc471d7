package output

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

func TestOutputsAreReadAsDockerDoes(t *testing.T) {
	for text, want := range map[string]Output{
		"out":                   {Type: "local", Dest: "out"},
		"./a=b":                 {Type: "local", Dest: "./a=b"},
		"-":                     {Type: "tar", Dest: "-"},
		"type=local,dest=out":   {Type: "local", Dest: "out"},
		"dest=out,TYPE=local":   {Type: "local", Dest: "out"},
		`type=local,"dest=a,b"`: {Type: "local", Dest: "a,b"},
		"type=tar":              {Type: "tar", Dest: "-"},
		"type=tar,dest=f.tar":   {Type: "tar", Dest: "f.tar"},
		"type=oci":              {Type: "oci", Dest: "-"},
		"type=docker,dest=-":    {Type: "docker", Dest: "-"},
		"type=docker":           {Type: "image"},
		`type=image,"name=a,b"`: {Type: "image", Name: []string{"a", "b"}},
		"type=cacheonly":        {Type: "cacheonly"},

		"type=image,rewrite-timestamp=true":       {Type: "image", rewrite: true},
		"type=oci,dest=f,rewrite-timestamp=false": {Type: "oci", Dest: "f"},
		"type=docker,dest=f,name=me":              {Type: "docker", Dest: "f", Name: []string{"me"}},
	} {
		want.text = text
		got, err := Parse([]string{text})
		require.NoError(t, err, text)
		require.Equal(t, List{want}, got, text)
	}
}

func TestWhatIsNoOutputIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("file", nil, 0o644))
	require.NoError(t, os.Mkdir("dir", 0o755))
	for text, says := range map[string]string{
		"":                                "give DIR, -, or type=TYPE",
		`a"b`:                             "give DIR, -, or type=TYPE",
		"a,b":                             `"a": give KEY=VALUE`,
		"dest=out":                        "type= is missing; accepted: cacheonly, docker, image, local, oci, tar",
		"type=zip,dest=x":                 `unknown type "zip"; accepted: cacheonly, docker, image, local, oci, tar`,
		"type=tar,dst=x":                  `unknown key "dst"; type=tar takes dest`,
		"type=image,push=true":            `unknown key "push"; type=image takes name`,
		"type=image,rewrite-timestamp=on": "rewrite-timestamp=on: give true or false",
		"type=tar,rewrite-timestamp=true": "type=tar takes dest",

		"type=cacheonly,dest=x": `unknown key "dest"; type=cacheonly takes no other key`,
		"type=local":            "dest= is missing; add dest=DIR",
		"type=local,dest=-":     "a directory cannot be standard output",
		"file":                  "file is not a directory",
		"file/x":                "not a directory",
		"type=tar,dest=dir":     "it is a directory; give a regular file",
		"type=tar,dest=no/file": "no such file or directory",
	} {
		list, err := Parse([]string{text})
		if err == nil {
			err = list.Check()
		}
		require.ErrorContains(t, err, says, text)
		require.ErrorContains(t, err, fmt.Sprintf("--output %q: ", text))
	}
	twice, err := Parse([]string{"type=tar,dest=f", "-", "type=oci"})
	require.NoError(t, err)
	require.EqualError(t, twice.Check(), `--output "type=oci": another --output is standard output already`)
	require.NoError(t, twice[:2].Check())
}

// TestTreeIsWhatLayersShow: no whiteouts, what layers say of owners, and each layer about its own
// files only.
func TestTreeIsWhatLayersShow(t *testing.T) {
	dir := t.TempDir()
	shell(t, dir, `mkdir -p low/d top/d
		echo old >low/d/file; echo gone >low/gone; echo below >low/below; ln low/below low/again
		echo new >top/d/file; ln -s d/file top/link; chmod 4755 top/d/file; mkdir top/e; touch -d @1000000000 top/e low/below`)
	require.NoError(t, os.WriteFile(dir+"/low.owners", []byte(`file 7 8 644:4644 0:0 user.x=y "below"
link "below" "again"
file 5 5 644:644 0:0 - "d/file"
`), 0o600))
	if err := unix.Mknod(dir+"/top/gone", unix.S_IFCHR, 0); err != nil {
		t.Skip("only root can make a whiteout here:", err)
	}
	var out bytes.Buffer
	require.NoError(t, writeTree(&out, nil, []string{dir + "/top", dir + "/low"}))
	var list []string
	at := map[string]time.Time{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		list = append(list, fmt.Sprintf("%c %s %o %d:%d %s %s", h.Typeflag, h.Name, h.Mode, h.Uid, h.Gid, h.Linkname, h.PAXRecords[files.XattrPrefix+"user.x"]))
		at[h.Name] = h.ModTime
	}
	require.Equal(t, []string{"0 again 4644 7:8  y", "1 below 4644 7:8 again ", "5 d/ 755 0:0  ", "0 d/file 4755 0:0  ", "5 e/ 755 0:0  ", "2 link 777 0:0 d/file "}, list)
	require.Equal(t, int64(1000000000), at["e/"].Unix())

	then := time.Unix(5, 0)
	require.NoError(t, writeTree(&out, &then, []string{dir + "/top", dir + "/low"}))
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.True(t, then.Equal(h.ModTime), h.Name)
	}
}

func TestTimeAsAWord(t *testing.T) {
	at := time.Unix(1000000000, 0)
	for _, want := range []*time.Time{nil, &at} {
		got, err := timeOf(seconds(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := timeOf("soon")
	require.EqualError(t, err, `"soon": not a time in seconds`)
}

// TestLocalIsWhatTarUnpacks: a directory gets what tar(1) makes of the stream, as the caller's.
func TestLocalIsWhatTarUnpacks(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { shell(t, dir, "chmod -R u+w .") }) // or an ordinary user could not remove it
	shell(t, dir, `mkdir -p in/d/e in/ro; echo content >in/d/file; ln in/d/file in/second; ln -s ../nowhere in/d/link
		head -c 300000 /dev/urandom >in/big; : >in/empty; mkfifo in/pipe; echo x >"in/$(printf 'new\nline')"; echo r >in/ro/r
		chmod 500 in/ro; chmod 1777 in/d/e; chmod 4711 in/big
		find in -depth -exec touch -h -d '2001-02-03 04:05:06.123456789' {} +`)
	var stream bytes.Buffer
	require.NoError(t, writeTree(&stream, nil, []string{dir + "/in"}))
	text := bytes.Clone(stream.Bytes())
	require.NoError(t, os.WriteFile(dir+"/tar", text, 0o644))
	for range 2 { // the second time replaces all of it
		sum, err := writeLocal(dir+"/out", copyOf(text))
		require.NoError(t, err)
		require.Equal(t, ": 8 files, 293 KiB", sum)
		shell(t, dir, `[ ! -e want ] || mv want before; mkdir -m 700 want; tar -C want --no-same-owner -pxf tar`)
		require.Equal(t, listing(t, dir+"/want"), listing(t, dir+"/out"))
	}
}

func TestLocalMergesAndReplaces(t *testing.T) {
	dir := t.TempDir()
	shell(t, dir, `mkdir -p in/d in/nowdir out/d out/own outside; echo new >in/d/file; echo new >in/waslink; ln -s d in/wasfile; ln -s e in/l
		echo new >in/nowdir/f; mkdir in/todir; echo new >in/todir/passwd
		echo old >out/d/file; echo kept >out/d/kept; echo kept >out/own/kept; echo untouched >outside/passwd
		ln -s ../outside/passwd out/waslink; ln -s ../outside out/todir; echo x >out/wasfile; ln -s old out/l; echo x >out/nowdir
		echo x >out/.new-ABCDEFGHIJKLMNOPQRSTUVWXYZ; echo x >out/d/.new-ABCDEFGHIJKLMNOPQRSTUVWXYZ; chmod 500 out/d`)
	inode := func() (st unix.Stat_t) {
		require.NoError(t, unix.Stat(dir+"/out/d/file", &st))
		return st
	}
	before := inode()
	open, err := os.Open(dir + "/out/d/file")
	require.NoError(t, err)
	defer open.Close()
	_, err = writeLocal(dir+"/out", treeOf(dir+"/in"))
	require.NoError(t, err)
	old, err := io.ReadAll(open)
	require.NoError(t, err)
	require.Equal(t, "old\n", string(old), "who has it open keeps the old one")
	require.NotEqual(t, before.Ino, inode().Ino)
	require.Equal(t, `d/file new
d/kept kept
nowdir/f new
own/kept kept
todir/passwd new
waslink new
l -> e
wasfile -> d
`, shell(t, dir+"/out", `export LC_ALL=C; find . -type f -printf '%P\n' | sort | while read f; do echo "$f $(cat "$f")"; done; find . -type l -printf '%P -> %l\n' | sort`))
	require.Equal(t, "untouched\n", shell(t, dir, "cat outside/passwd"))
	require.NoFileExists(t, dir+"/outside/r")
}

func TestLocalRefusesWhatIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	for way, says := range map[string]string{
		"mkdir -p out/x; echo kept >out/x/kept": "a directory is in the way; only regular files and links are replaced: remove it",
		"mkfifo out/x":                          "a special file is in the way; only regular files and links are replaced: remove it",
	} {
		shell(t, dir, "rm -rf in out; mkdir in out; echo x >in/x; echo y >in/y; "+way)
		before := shell(t, dir, "find out | sort")
		_, err := writeLocal(dir+"/out", treeOf(dir+"/in"))
		require.EqualError(t, err, fmt.Sprintf("write %q: %s", dir+"/out/x", says))
		require.Equal(t, before, shell(t, dir, "find out | sort"))
	}
	shell(t, dir, "rm -rf in out; mkdir -p in/x out; mkfifo out/x")
	_, err := writeLocal(dir+"/out", treeOf(dir+"/in"))
	require.ErrorContains(t, err, "a special file is in the way")
}

// TestLocalStaysInside: a name that leads out is an error, as is a link that another process puts in
// the place of a directory.
func TestLocalStaysInside(t *testing.T) {
	dir := t.TempDir()
	shell(t, dir, "mkdir out outside; ln -s ../outside out/link; ln -s d out/inner; mkdir out/d")
	for _, h := range []*tar.Header{
		{Name: "../outside/x", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "link/x", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "x", Typeflag: tar.TypeLink, Linkname: "../outside/file"},
		{Name: "link/d/", Typeflag: tar.TypeDir, Mode: 0o755},
	} {
		_, err := writeLocal(dir+"/out", func(w io.Writer) error {
			a := tar.NewWriter(w)
			return errors.Join(a.WriteHeader(h), a.Close())
		})
		require.Error(t, err, h.Name)
	}
	require.Empty(t, shell(t, dir, "ls -A outside; find out -name '.new*' -o -name x"))
}

// TestLocalBrokenOff: the files that are there are whole, and the error is the stream's.
func TestLocalBrokenOff(t *testing.T) {
	dir := t.TempDir()
	shell(t, dir, "mkdir in out; echo a >in/a; head -c 3000000 /dev/zero >in/b; echo old >out/b")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := writeLocal(dir+"/out", func(w io.Writer) error {
		return writeTree(&until{ctx, &cancelAfter{w, 1 << 20, cancel}}, nil, []string{dir + "/in"})
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "a\nb\na\nold\n", shell(t, dir+"/out", "ls -A; cat a b"))

	_, err = writeLocal(dir+"/out", func(io.Writer) error { return errors.New("nothing to write") })
	require.EqualError(t, err, "nothing to write")
}

type cancelAfter struct {
	w      io.Writer
	left   int
	cancel func()
}

func (c *cancelAfter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left <= 0 {
		c.cancel()
	}
	return c.w.Write(p)
}

func treeOf(dir string) func(io.Writer) error {
	return func(w io.Writer) error { return writeTree(w, nil, []string{dir}) }
}

func copyOf(text []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(text); return err }
}

// shell runs a script in a directory, and returns what it prints.
func shell(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// listing is what find(1) sees of a tree, the owner and the content included.
func listing(t testing.TB, dir string) string {
	t.Helper()
	return shell(t, dir, `export LC_ALL=C
		find . -mindepth 1 \( -type d -printf '%P %y %m %U:%G %T@\n' -o -printf '%P %y %m %U:%G %s %n %l %T@\n' \) | sort
		find . -type f -exec sha256sum {} + | sort`)
}
