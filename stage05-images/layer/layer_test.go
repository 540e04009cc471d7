package layer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage05-images/digest"
)

// limited is a Limit. Without signs, a count that has overflowed is more than any number.
func limited(maxBytes, maxFiles uint64) Limit {
	return func(bytes, files int64) error {
		if uint64(bytes) > maxBytes || uint64(files) > maxFiles {
			return fmt.Errorf("more than %d bytes or %d files", maxBytes, maxFiles)
		}
		return nil
	}
}

var defaultLimits = limited(1<<30, 100000)

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

// rawHeader is a block that no archiver would write.
func rawHeader(kind byte, name string, size []byte) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x000000000\x000000000\x00")
	copy(block[124:136], size)
	copy(block[136:], "00000000000\x00        ")
	block[156] = kind
	copy(block[257:], "ustar\x0000")
	addChecksum(block)
	return block
}

func addChecksum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// withChecksums corrects those of the headers, so that what a fuzzer changes is looked at.
func withChecksums(data []byte) []byte {
	data = bytes.Clone(data)
	for rest := data; len(rest) >= 512 && rest[0] != 0; {
		addChecksum(rest[:512])
		var size int
		if _, err := fmt.Sscanf(string(rest[124:135]), "%o", &size); err != nil || size < 0 || size > len(rest)-512 {
			break
		}
		rest = rest[min(len(rest), 512+(size+511)/512*512):]
	}
	return data
}

// snapshot is all that stat(2) says of a tree: a link made to one of its files shows, too.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		err = unix.Lstat(path, &st)
		fmt.Fprintln(&out, path, st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Mtim, st.Ctim)
		return err
	}))
	return out.String()
}

// layerTree lists what is in a directory: name, kind and mode, and content or target.
func layerTree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	require.NoError(t, files.Walk(openTree(t, dir), func(name string, fd int) error {
		h, _, err := files.Describe(name, fd)
		require.NoError(t, err)
		line := fmt.Sprintf("%s %c %o", h.Name, h.Typeflag, h.Mode)
		opaque, err := overlayMarks(fd)
		if require.NoError(t, err); opaque {
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

func TestHostileLayers(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(outside+"/secret", []byte("secret"), 0o600))
	toOutside := tarLink(tar.TypeSymlink, "a", outside)
	deep := strings.Repeat("d/", 10000)
	pax := func(record string) []byte {
		return append(append(rawHeader('x', "pax", fmt.Appendf(nil, "%011o", len(record))), record...), make([]byte, 512-len(record))...)
	}
	owned := func(uid int) tarEntry {
		e := tarFile("a", "")
		e.Format, e.Uid = tar.FormatGNU, uid
		return e
	}
	marked := tarDir("a")
	marked.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": outside, "SCHILY.xattr.user.overlay.opaque": "y"}
	for _, c := range []struct {
		name string
		tar  []byte
		says string   // the error, or
		see  []string // what is in the layer then
	}{
		{"..", tarOf(t, tarFile("../x", "")), `unpack "../x": ".." in a name leads out`, nil},
		{".. further on", tarOf(t, tarDir("a"), tarFile("a/../../x", "")), `".." in a name`, nil},
		{".. alone", tarOf(t, tarDir("..")), `".." in a name`, nil},
		{"absolute", tarOf(t, tarFile("/a", "x")), "", []string{"a 0 644 x"}},
		{"absolute, and there outside", tarOf(t, tarFile("//./"+outside+"/secret", "")), "", nil},
		{"file through a link", tarOf(t, toOutside, tarFile("a/x", "")), `its directory "a": the layer has a file or a link of this name`, nil},
		{"directory through a link", tarOf(t, toOutside, tarDir("a/x")), "the layer has a file or a link", nil},
		{"link through a link", tarOf(t, toOutside, tarLink(tar.TypeSymlink, "a/x", "y")), "the layer has a file or a link", nil},
		{"file through links deep down", tarOf(t, tarLink(tar.TypeSymlink, "d/e/up", "../.."), tarLink(tar.TypeSymlink, "b", "d/e/up/.."), tarFile("b/x", "")), "the layer has a file or a link", nil},
		{"file over a link", tarOf(t, tarLink(tar.TypeSymlink, "a", outside+"/secret"), tarFile("a", "x")), "", []string{"a 0 644 x"}},
		{"directory over a link", tarOf(t, toOutside, tarDir("a"), tarFile("a/x", "x")), "", []string{"a/ 5 755", "a/x 0 644 x"}},
		{"link over a directory", tarOf(t, tarDir("a"), tarFile("a/x", ""), tarDir("a/b"), toOutside), "", []string{"a 2 777 " + outside}},
		{"link over a directory, and through it", tarOf(t, tarDir("a"), tarFile("a/x", ""), toOutside, tarFile("a/secret", "")), "the layer has a file or a link", nil},
		{"directory over a link over a directory", tarOf(t, tarFile("a/x", ""), toOutside, tarFile("b", ""), tarDir("a")), "", []string{"a/ 5 755", "b 0 644"}},
		{"device over a link", tarOf(t, toOutside, tarLink(tar.TypeFifo, "a", "")), "", []string{"a 6 777"}},
		{"hard link to outside", tarOf(t, tarLink(tar.TypeLink, "b", outside+"/secret")), "hard link to", nil},
		{"hard link to .. outside", tarOf(t, tarLink(tar.TypeLink, "b", "../"+filepath.Base(outside)+"/secret")), `".." in a name`, nil},
		{"hard link through a link", tarOf(t, toOutside, tarLink(tar.TypeLink, "b", "a/secret")), "hard link to", nil},
		{"hard link to a link, and a file over it", tarOf(t, tarLink(tar.TypeSymlink, "a", outside+"/secret"), tarLink(tar.TypeLink, "b", "a"), tarFile("b", "x")), "",
			[]string{"a 2 777 " + outside + "/secret", "b 0 644 x"}},
		{"hard link to a directory", tarOf(t, tarDir("a"), tarLink(tar.TypeLink, "b", "a")), "operation not permitted", nil},
		{"hard link to nothing", tarOf(t, tarLink(tar.TypeLink, "b", "a")), `hard link to "a": no such file or directory before it in the same archive`, nil},
		{"hard link to a lower layer's file", tarOf(t, tarLink(tar.TypeLink, "b", "bin/sh")), `hard link to "bin/sh": no such file or directory before it in the same archive`, nil},
		{"hard link to itself", tarOf(t, tarFile("a", "x"), tarLink(tar.TypeLink, "a", "./a")), "", []string{"a 0 644 x"}},
		{"hard link to itself that is not there", tarOf(t, tarLink(tar.TypeLink, "a", "a")), "no such file", nil},
		{"hard link over what it is in", tarOf(t, tarFile("a/b", "x"), tarLink(tar.TypeLink, "a", "a/b")), "no such file", nil},
		{"hard link to the layer", tarOf(t, tarLink(tar.TypeLink, "a", "/")), "hard link to", nil},
		{"whiteout through a link", tarOf(t, toOutside, tarFile("a/.wh.secret", "")), "the layer has a file or a link", nil},
		{"whiteout of nothing", tarOf(t, tarFile("a/.wh.", "")), "this whiteout names nothing", nil},
		{"whiteout of .", tarOf(t, tarFile(".wh..", "")), "this whiteout names nothing", nil},
		{"whiteout of ..", tarOf(t, tarFile("a/.wh...", "")), "this whiteout names nothing", nil},
		{"whiteout with a path", tarOf(t, tarFile(".wh.a/b", "")), "a whiteout is a file", nil},
		{"whiteout with a path out", tarOf(t, tarFile(".wh.a/../../b", "")), `".." in a name`, nil},
		{"whiteout as a link", tarOf(t, tarLink(tar.TypeSymlink, ".wh.a", outside), tarFile("a/x", "x")), "", []string{"a/ 5 755 opaque", "a/x 0 644 x"}},
		{"whiteout after the file", tarOf(t, tarFile("a", "x"), tarFile(".wh.a", "")), "", []string{"a 0 644 x"}},
		{"whiteout after the link", tarOf(t, toOutside, tarFile(".wh.a", "")), "", []string{"a 2 777 " + outside}},
		{"whiteout before the file", tarOf(t, tarFile(".wh.a", ""), tarFile("a", "x")), "", []string{"a 0 644 x"}},
		{"whiteout after the directory", tarOf(t, tarFile("a/x", "x"), tarFile(".wh.a", "")), "", []string{"a/ 5 755 opaque", "a/x 0 644 x"}},
		{"whiteout before the directory", tarOf(t, tarFile(".wh.a", ""), tarDir("a")), "", []string{"a/ 5 755 opaque"}},
		{"opaque before the directory", tarOf(t, tarFile("a/.wh..wh..opq", ""), tarDir("a"), tarFile("a/x", "x")), "", []string{"a/ 5 755 opaque", "a/x 0 644 x"}},
		{"opaque after the directory", tarOf(t, tarFile("a/x", "x"), tarFile("b", ""), tarFile("a/.wh..wh..opq", "")), "", []string{"a/ 5 755 opaque", "a/x 0 644 x", "b 0 644"}},
		{"opaque through a link", tarOf(t, toOutside, tarFile("a/.wh..wh..opq", "")), "the layer has a file or a link", nil},
		{"opaque file", tarOf(t, tarFile("a", ""), tarFile("a/.wh..wh..opq", "")), "the layer has a file or a link", nil},
		{"what AUFS left", tarOf(t, tarFile(".wh..wh.aufs", ""), tarFile(".wh..wh.plnk/1.2", "")), "", nil},
		{"file where a parent must be", tarOf(t, tarFile("a", ""), tarFile("a/b", "")), "only a directory can hold something", nil},
		{"whiteout where a parent must be", tarOf(t, tarFile(".wh.a", ""), tarFile("a/b", "x")), "", []string{"a/ 5 755 opaque", "a/b 0 644 x"}},
		{"newlines", tarOf(t, tarFile("new\nline", "x")), "", []string{"new\nline 0 644 x"}},
		{"NUL in a pax name", append(pax("12 path=a\x00b\n"), tarOf(t, tarFile("x", ""))...), "invalid tar header", nil},
		{"no name", append(rawHeader('0', "", nil), make([]byte, 1024)...), "it is the path of the layer's own directory, and not a directory", nil},
		{"link in the layer's place", tarOf(t, tarLink(tar.TypeSymlink, "./", outside)), "it is the path of the layer's own directory, and not a directory", nil},
		{"10,000 deep", tarOf(t, tarDir(deep)), "the name has 20001 bytes, and the kernel takes 4095", nil},
		{"a name too long", tarOf(t, tarFile(strings.Repeat("x", 256), "")), "file name too long", nil},
		{"xattrs of overlay's", tarOf(t, marked), "", []string{"a/ 5 755"}},
		{"size beyond the end", rawHeader('0', "a", []byte("00000001000\x00")), "unexpected EOF", nil},
		{"size of a pebibyte", rawHeader('0', "a", []byte("\x80\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00")), "more than 1073741824 bytes", nil},
		{"size below zero", rawHeader('0', "a", bytes.Repeat([]byte{0xff}, 12)), "invalid tar header", nil},
		{"size that overflows the count", append(tarOf(t, tarFile("a", "x"))[:1024], rawHeader('0', "b", []byte("\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"))...), "more than 1073741824 bytes", nil},
		{"owner -1", tarOf(t, owned(-1)), "owner -1:0: ids out of range", nil},
		{"owner of 33 bits", tarOf(t, owned(1<<32)), "owner 4294967296:0: ids out of range", nil},
		{"a type that is none", append(rawHeader('Z', "a", nil), make([]byte, 1024)...), `entry type 'Z'`, nil},
		{"no archive", bytes.Repeat([]byte("no archive "), 200), "invalid tar header", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			layer := t.TempDir()
			before := snapshot(t, outside)
			_, err := Unpack(bytes.NewReader(c.tar), layer, defaultLimits)
			require.Equal(t, before, snapshot(t, outside), "nothing outside has changed")
			switch {
			case c.says != "":
				require.ErrorContains(t, err, c.says)
			case c.see != nil:
				require.NoError(t, err)
				require.Equal(t, c.see, layerTree(t, layer))
			default:
				require.NoError(t, err)
			}
		})
	}
}

// TestGroupOfADirectory: what is made in a directory with the setgid bit gets its group from the
// kernel, and keeps that of the layer all the same.
func TestGroupOfADirectory(t *testing.T) {
	root := tarDir(".")
	root.Mode, root.Gid = 0o2755, 50
	for name, entries := range map[string][]tarEntry{"the layer's": {root}, "the host's": nil} {
		dir := t.TempDir()
		if os.Geteuid() == 0 && entries == nil {
			require.NoError(t, os.Chown(dir, 0, 50))
			require.NoError(t, os.Chmod(dir, 0o755|os.ModeSetgid))
		}
		_, err := Unpack(bytes.NewReader(tarOf(t, append(entries, tarFile("file", "x"))...)), dir, defaultLimits)
		require.NoError(t, err)
		var st unix.Stat_t
		require.NoError(t, unix.Stat(dir+"/file", &st))
		require.EqualValues(t, os.Getegid(), st.Gid, name)
	}
}

func TestHolesThatAreABomb(t *testing.T) {
	tools(t, "tar", "truncate")
	data := []byte(sh(t, t.TempDir(), "truncate -s 20G a; tar -cSf - a"))
	require.Less(t, len(data), 1<<20)
	layer := t.TempDir()
	_, err := Unpack(bytes.NewReader(data), layer, defaultLimits)
	require.ErrorContains(t, err, "more than 1073741824 bytes")
	require.Empty(t, layerTree(t, layer))
}

// headers are what an archive says of its files, by name.
func headers(t testing.TB, data []byte) map[string]string {
	t.Helper()
	list := map[string]string{}
	reader := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := reader.Next()
		if err == io.EOF {
			return list
		}
		require.NoError(t, err)
		if name, err := layerPath(h.Name); err == nil && name != "" {
			sum := sha256.New()
			_, err := io.Copy(sum, reader)
			require.NoError(t, err)
			target := strings.TrimPrefix(h.Linkname, "./")
			kind := h.Typeflag
			if kind == tar.TypeGNUSparse {
				kind = tar.TypeReg
			}
			list[name] = fmt.Sprintf("%c %o %d:%d %d %s %d:%d %s %x", kind, h.Mode, h.Uid, h.Gid, h.ModTime.UnixNano(), target, h.Devmajor, h.Devminor,
				h.PAXRecords["SCHILY.xattr.user.note"], sum.Sum(nil))
		}
	}
}

// TestLayerOfGNUTar unpacks what tar(1) wrote in each of its formats, and packs it again.
func TestLayerOfGNUTar(t *testing.T) {
	tools(t, "tar", "find", "setfattr")
	from := t.TempDir()
	sh(t, from, manyKinds+"\nsetfattr -n user.note -v hello d/file; touch -d '2001-02-03 04:05:06.123456789' d/file")
	if os.Geteuid() == 0 {
		sh(t, from, special)
	}
	sh(t, from, "truncate -s 1M holes; printf end >> holes; touch -d @1000000000.5 holes; chmod 755 .")
	for _, format := range []string{"--format=pax --xattrs --pax-option=delete=atime,delete=ctime", "--format=pax --sparse --sort=name", "--format=gnu --sparse", "--format=gnu"} {
		t.Run(format, func(t *testing.T) {
			data := []byte(sh(t, from, "tar --numeric-owner -c "+format+" ."))
			layer := filepath.Join(t.TempDir(), "layer")
			require.NoError(t, os.Mkdir(layer, 0o700))
			sum, err := Unpack(bytes.NewReader(data), layer, defaultLimits)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), string(sum.DiffID))
			require.EqualValues(t, len(data), sum.Bytes)
			if os.Geteuid() == 0 && strings.Contains(format, "xattrs") {
				require.Equal(t, listing(t, from), listing(t, layer))
			}
			if strings.Contains(format, "sparse") {
				var st unix.Stat_t
				require.NoError(t, unix.Stat(layer+"/holes", &st))
				require.Less(t, st.Blocks, int64(200), "of 512 bytes, for 1 MiB")
			}
			var packed bytes.Buffer
			again, err := Pack(&packed, layer, layer+OwnersSuffix)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256(packed.Bytes())), string(again.DiffID))
			require.EqualValues(t, packed.Len(), again.Bytes)
			require.Equal(t, headers(t, data), headers(t, packed.Bytes()))
		})
	}
}

// ownedLayer is a canonical layer with all that only root can have.
func ownedLayer(t testing.TB) []byte {
	caps := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	entries := []tarEntry{tarFile("a b\n\"c", "1"), tarLink(tar.TypeChar, "chr", ""), tarDir("closed"), tarFile("closed/f", "2"), tarDir("group"), tarFile("group/f", "3"), tarFile("group/r", "3"),
		tarDir("opq"), tarFile("opq/.wh..wh..opq", ""), tarFile("opq/.wh.x", ""), tarFile("opq/y", "4"), tarLink(tar.TypeLink, "opq/z", "group/f"),
		tarFile("ping", "5"), tarLink(tar.TypeSymlink, "s", "/etc"), tarFile("shadow", "6"), tarFile("su", "7")}
	owner := map[string][3]int64{"a b\n\"c": {33, 44, 0o600}, "chr": {0, 6, 0o620}, "closed/": {5, 5, 0o555}, "closed/f": {0, 0, 0o444}, "group/": {0, 50, 0o2775},
		"group/f": {1000, 50, 0o664}, "group/r": {0, 0, 0o644}, "opq/": {0, 0, 0o755}, "opq/y": {0, 0, 0o644}, "opq/z": {1000, 50, 0o664}, "ping": {0, 0, 0o755}, "s": {33, 33, 0o777}, "shadow": {0, 0, 0}, "su": {12, 0, 0o6755}}
	for i := range entries {
		h := &entries[i].Header
		if o, known := owner[h.Name]; known {
			h.Uid, h.Gid, h.Mode, h.ModTime = int(o[0]), int(o[1]), o[2], time.Unix(1e9, 12345)
		} else {
			h.Mode, h.ModTime = 0, epoch
		}
		h.Format = tar.FormatPAX
		if h.Name == "ping" {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": caps}
		}
		if h.Name == "chr" {
			h.Devmajor, h.Devminor = 1, 3
		}
	}
	return tarOf(t, entries...)
}

// TestOwnersComeBack unpacks and packs a layer: as whoever runs the tests, and as root of a
// user namespace that has no other user.
func TestOwnersComeBack(t *testing.T) {
	data := ownedLayer(t)
	layer := filepath.Join(t.TempDir(), "layer")
	require.NoError(t, os.Mkdir(layer, 0o700))
	_, err := Unpack(bytes.NewReader(data), layer, defaultLimits)
	require.NoError(t, err)
	var packed bytes.Buffer
	_, err = Pack(&packed, layer, layer+OwnersSuffix)
	require.NoError(t, err)
	require.Equal(t, headers(t, data), headers(t, packed.Bytes()))
	require.True(t, bytes.Equal(data, packed.Bytes()))

	var su unix.Stat_t
	require.NoError(t, unix.Stat(layer+"/su", &su))
	if su.Uid != 12 {
		require.Zero(t, su.Mode&0o6000, "nobody gets rights from an owner whom it does not have")
		require.FileExists(t, layer+OwnersSuffix)
	} else {
		require.NoFileExists(t, layer+OwnersSuffix)
	}
	if os.Getenv("IN_USER_NAMESPACE") != "" {
		return
	}
	tools(t, "unshare")
	cmd := exec.Command("unshare", "-Ur", os.Args[0], "-test.run", "^TestOwnersComeBack$")
	cmd.Env = append(os.Environ(), "IN_USER_NAMESPACE=1")
	if exec.Command("unshare", "-Ur", "true").Run() != nil {
		t.Skip("this host gives no user namespaces")
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestOwnersOfAPathThatCameTwice: what was written about the first must not be believed of
// the second.
func TestOwnersOfAPathThatCameTwice(t *testing.T) {
	first, second := tarDir("a"), tarFile("a", "x")
	first.Uid, first.Mode = 33, 0o1777
	inside := tarFile("a/b", "")
	inside.Uid = 33
	layer := filepath.Join(t.TempDir(), "layer")
	require.NoError(t, os.Mkdir(layer, 0o700))
	_, err := Unpack(bytes.NewReader(tarOf(t, first, inside, second, tarDir("a"), tarFile("a/b", "y"))), layer, defaultLimits)
	require.NoError(t, err)
	var packed bytes.Buffer
	_, err = Pack(&packed, layer, layer+OwnersSuffix)
	require.NoError(t, err)
	require.Equal(t, headers(t, tarOf(t, tarDir("a"), tarFile("a/b", "y"))), headers(t, packed.Bytes()))
}

// overlaid runs a script in m/, an overlay of directories of dir, the top one first. With an
// upper directory it can be written to.
func overlaid(t testing.TB, dir, lowers, upper, script string) string {
	t.Helper()
	tools(t, "unshare")
	flags, options := "-m", "lowerdir="+lowers
	if os.Geteuid() != 0 {
		flags, options = "-Urm", "userxattr,"+options
	}
	if upper != "" {
		options += ",upperdir=" + upper + ",workdir=work"
	}
	mount := "mkdir -p m work; mount -t overlay overlay -o " + options + " m"
	if exec.Command("unshare", flags, "true").Run() != nil {
		t.Skip("this host gives no mount namespaces, or no user namespaces")
	}
	return sh(t, dir, "unshare "+flags+` --propagation private sh -euc '`+mount+`; cd m; `+script+`; cd ..; umount m; rm -r m work'`)
}

// scratch is a directory that an overlay can lie on.
func scratch(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &st))
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		t.Skip("the temporary directory is on an overlay, on which none can lie")
	}
	return dir
}

// unpackInto unpacks a layer into a new directory.
func unpackInto(t testing.TB, dir string, data []byte) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err := Unpack(bytes.NewReader(data), dir, defaultLimits)
	require.NoError(t, err)
}

// TestKernelUnderstandsTheLayer asks the kernel what an overlay of two layers holds.
func TestKernelUnderstandsTheLayer(t *testing.T) {
	dirs := scratch(t)
	unpackInto(t, dirs+"/one", tarOf(t, tarFile("keep", ""), tarFile("gone", ""), tarFile("dir/a", ""), tarFile("dir/b", ""), tarFile("opq/x", ""), tarFile("both/x", ""),
		tarFile("parent/x", ""), tarFile("same/x", ""), tarLink(tar.TypeSymlink, "link", "/etc"), tarFile("wasfile", "")))
	unpackInto(t, dirs+"/two", tarOf(t, tarFile(".wh.gone", ""), tarFile("dir/.wh.a", ""), tarFile("opq/.wh..wh..opq", ""), tarFile("opq/y", ""), tarFile("both/y", ""), tarFile(".wh.both", ""),
		tarFile(".wh.parent", ""), tarFile("parent/y", ""), tarFile("same/x", ""), tarFile("same/y", ""), tarFile("same/.wh.x", ""), tarFile("link/passwd", ""), tarFile("wasfile/y", "")))
	require.Equal(t, []string{"both/y", "dir/b", "keep", "link/passwd", "opq/y", "parent/y", "same/x", "same/y", "wasfile/y"},
		strings.Fields(overlaid(t, dirs, "two:one", "", "find -L . -type f -printf \"%P\\n\" | sort")))
}

// changesByKernel are done in an overlay; the upper directory then holds what is packed.
const changesByKernel = `rm gone; rm -r opq; mkdir opq; echo new > opq/y; rm dir/a; echo more >> dir/b; mv keep kept; chmod 700 closed;
	rm link; mkdir link; echo x > link/x; ln dir/b dir/c; rm -r tree; echo file > tree; ln -sfn /nowhere s; mkfifo pipe`

const lowerTree = `mkdir -p dir opq/deep closed tree/t; echo 1 > keep; echo 2 > gone; echo a > dir/a; echo b > dir/b; echo x > opq/x; echo d > opq/deep/d; ln -s dir link; ln -s dir s; echo t > tree/t/t`

// contents is what find(1) says of names, kinds, modes, links and sizes.
const contents = `find . -mindepth 1 ! -type d -printf "%P %y %m %s %n %l\n" -o -mindepth 1 -printf "%P %y %m\n" | LC_ALL=C sort`

// TestUmociAgrees packs a directory and what a container changed in it as two layers, has
// umoci(1) unpack the image, and compares that with what the kernel shows. Then umoci packs
// a layer of changes of its own, and we unpack it.
func TestUmociAgrees(t *testing.T) {
	boxtest.Slow(t)
	tools(t, "umoci", "find", "tar", "jq")
	dirs := scratch(t)
	sh(t, dirs, "mkdir one two; cd one; "+lowerTree)
	merged := overlaid(t, dirs, "one", "two", changesByKernel+"; "+contents)
	for _, layer := range []string{"one", "two"} {
		out, err := os.Create(dirs + "/" + layer + ".tar")
		require.NoError(t, err)
		_, err = Pack(out, dirs+"/"+layer)
		require.NoError(t, errors.Join(err, out.Close()))
	}
	rootless := ""
	if os.Geteuid() != 0 {
		rootless = "--rootless"
	}
	sh(t, dirs, "umoci init --layout oci; umoci new --image oci:i; umoci raw add-layer --image oci:i one.tar; umoci raw add-layer --image oci:i two.tar; umoci unpack "+rootless+" --image oci:i b")
	require.Equal(t, merged, sh(t, dirs+"/b/rootfs", contents))

	unpackInto(t, dirs+"/1", []byte(sh(t, dirs, "cat one.tar")))
	unpackInto(t, dirs+"/2", []byte(sh(t, dirs, "cat two.tar")))
	require.Equal(t, merged, overlaid(t, dirs, "2:1", "", contents), "unpacked again, the kernel shows the same")

	sh(t, dirs, "cd b/rootfs; rm -r opq tree; mkdir tree; echo 1 > tree/1; rm dir/b; echo 2 > dir/2; cd ../..; umoci repack --image oci:i b")
	layer := sh(t, dirs, `m=$(jq -r '.manifests[0].digest' oci/index.json | tr : /); l=$(jq -r '.layers[-1].digest' oci/blobs/$m | tr : /); zcat oci/blobs/$l`)
	unpackInto(t, dirs+"/3", []byte(layer))
	require.Equal(t, sh(t, dirs+"/b/rootfs", contents), overlaid(t, dirs, "3:2:1", "", contents))
}

func TestPackRefusesWhatItCannotSay(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/.wh.x", nil, 0o644))
	_, err := Pack(io.Discard, dir)
	require.ErrorContains(t, err, `".wh.x": in a layer, a name that begins with .wh. says that another file was removed`)
	if os.Geteuid() != 0 {
		return
	}
	require.NoError(t, os.Remove(dir+"/.wh.x"))
	require.NoError(t, os.Mkdir(dir+"/moved", 0o755))
	require.NoError(t, unix.Setxattr(dir+"/moved", "trusted.overlay.redirect", []byte("/old"), 0))
	_, err = Pack(io.Discard, dir)
	require.ErrorContains(t, err, "its content is in a lower layer: mount the overlay with redirect_dir=off")
}

// TestUpperKeepsOwners: what a container changed belongs to whom the lower layer says.
func TestUpperKeepsOwners(t *testing.T) {
	dirs := t.TempDir()
	require.NoError(t, os.WriteFile(dirs+"/lower.owners", []byte("file 33 34 755:4755 0:0 - \"f\"\nfile 0 0 600:20666 1:3 - \"dev\"\nlink \"f\" \"g\"\n"), 0o600))
	require.NoError(t, os.Mkdir(dirs+"/upper", 0o755))
	require.NoError(t, os.WriteFile(dirs+"/upper/f", nil, 0o644))
	require.NoError(t, os.Chmod(dirs+"/upper/f", 0o711))
	require.NoError(t, os.WriteFile(dirs+"/upper/dev", []byte("no device any more"), 0o600))
	require.NoError(t, os.WriteFile(dirs+"/upper/g", nil, 0o644))
	require.NoError(t, os.Chmod(dirs+"/upper/g", 0o755))
	var packed bytes.Buffer
	_, err := Pack(&packed, dirs+"/upper", dirs+"/none.owners", dirs+"/lower.owners")
	require.NoError(t, err)
	got := headers(t, packed.Bytes())
	require.Regexp(t, "^0 711 33:34 ", got["f"])
	require.Regexp(t, "^0 4755 33:34 ", got["g"])
	require.Regexp(t, "^0 600 0:0 ", got["dev"])

	require.NoError(t, os.WriteFile(dirs+"/lower.owners", []byte("file 1 x\n"), 0o600))
	_, err = Pack(io.Discard, dirs+"/upper", dirs+"/lower.owners")
	require.ErrorContains(t, err, `lower.owners: read the line "file 1 x"`)
}

// TestInheritOwners: a new layer gets the lines about files that it has, its own before those below.
func TestInheritOwners(t *testing.T) {
	dirs := t.TempDir()
	top, lower := dirs+"/top", dirs+"/lower.owners"
	require.NoError(t, os.MkdirAll(top+"/d", 0o755))
	for _, name := range []string{"f", "d/g", "h"} {
		require.NoError(t, os.WriteFile(filepath.Join(top, name), nil, 0o644))
	}
	require.NoError(t, InheritOwners(top, dirs+"/none.owners"))
	require.NoFileExists(t, top+OwnersSuffix)
	own := NewOwnersWriter(top)
	require.NoError(t, own.Add("h", &Owner{UID: 1, GID: 2, Have: 0o644, Want: 0o644}))
	require.NoError(t, own.Close())
	below := "file 33 34 755:4755 0:0 - \"f\"\nlink \"f\" \"d/g\"\nfile 5 5 1:1 0:0 - \"gone\"\nfile 6 6 1:1 0:0 - \"h\"\n"
	require.NoError(t, os.WriteFile(lower, []byte(below), 0o600))
	require.NoError(t, InheritOwners(top, dirs+"/none.owners", lower))
	text, err := os.ReadFile(top + OwnersSuffix)
	require.NoError(t, err)
	require.Equal(t, "file 33 34 755:4755 0:0 - \"d/g\"\nfile 33 34 755:4755 0:0 - \"f\"\nfile 1 2 644:644 0:0 - \"h\"\n", string(text))
}

func FuzzUnpack(f *testing.F) {
	f.Add(ownedLayer(f))
	f.Add(tarOf(f, tarLink(tar.TypeSymlink, "a", "../out"), tarFile("a/x", ""), tarDir("a"), tarLink(tar.TypeLink, "b", "a"), tarFile(".wh.b", ""), tarFile("b/.wh..wh..opq", "")))
	f.Add(append(rawHeader('x', "pax", []byte("00000000014\x00")), append([]byte("12 path=a/b\n"), make([]byte, 500)...)...))
	f.Add(append(rawHeader('S', "a", []byte("00000001000\x00")), make([]byte, 1024)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = withChecksums(data)
		base, err := os.MkdirTemp("", "fuzz")
		require.NoError(t, err)
		defer os.RemoveAll(base)
		require.NoError(t, os.Mkdir(base+"/layer", 0o755))
		require.NoError(t, os.Mkdir(base+"/out", 0o755))
		require.NoError(t, os.WriteFile(base+"/out/x", nil, 0o644))
		before := snapshot(t, base+"/out")
		limits := limited(1<<20, 100)
		_, err = Unpack(bytes.NewReader(data), base+"/layer", limits)
		require.Equal(t, before, snapshot(t, base+"/out"))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		_, err = Pack(&once, base+"/layer", base+"/layer"+OwnersSuffix)
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(base+"/again", 0o755))
		_, err = Unpack(bytes.NewReader(once.Bytes()), base+"/again", defaultLimits)
		require.NoError(t, err)
		_, err = Pack(&twice, base+"/again", base+"/again"+OwnersSuffix)
		require.NoError(t, err)
		require.True(t, bytes.Equal(once.Bytes(), twice.Bytes()), "what is packed, unpacked and packed again is the same")
	})
}

// TestReceive holds that the blob is what came, compressed or not.
func TestReceive(t *testing.T) {
	data := tarOf(t, tarFile("file", "content"))
	for compression, blob := range map[string][]byte{"": data, "+gzip": filtered(t, data, "gzip", "-c")} {
		dir := t.TempDir()
		file, err := os.Create(filepath.Join(dir, "blob"))
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(filepath.Join(dir, "layer"), 0o755))
		got, diffID, err := Receive(bytes.NewReader(blob), file, filepath.Join(dir, "layer"), defaultLimits)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, digest.FromBytes(data), diffID)
		require.Equal(t, digest.FromBytes(blob), got.Digest)
		require.Equal(t, int64(len(blob)), got.Size)
		require.Equal(t, "application/vnd.oci.image.layer.v1.tar"+compression, got.MediaType)
		kept, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		require.Equal(t, blob, kept)
		require.FileExists(t, filepath.Join(dir, "layer", "file"))
	}
}

// TestInherit has a layer with files in directories that it does not list, above others.
func TestInherit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners and mounts are root's to give")
	}
	dir := scratch(t)
	tmp, home := tarDir("tmp"), tarDir("home/user")
	tmp.Mode, home.Mode, home.Uid, home.Gid = 0o1777, 0o700, 1000, 1000
	listed := tarDir("listed")
	listed.Mode = 0o750
	lowers := [][]byte{
		tarOf(t, tmp, home, tarDir("gone"), tarDir("opaque/in"), tarDir("listed/in")),
		tarOf(t, tarFile("other", ""), tarFile(".wh.gone", ""), tarFile("opaque/.wh..wh..opq", "")),
		tarOf(t, listed, tarFile("tmp/a", ""), tarFile("home/user/b", ""), tarFile("gone/c", ""), tarFile("new/d", ""), tarFile("opaque/in/e", ""), tarFile("listed/in/f", "")),
	}
	var dirs []string
	for i, data := range lowers {
		at := filepath.Join(dir, fmt.Sprint("layer", i))
		unpackInto(t, at, data)
		dirs = append(dirs, at)
	}
	implied, err := Implied(dirs[2])
	require.NoError(t, err)
	require.Equal(t, []string{"gone", "home", "home/user", "listed/in", "new", "opaque", "opaque/in", "tmp"}, implied)
	implied, err = Implied(dirs[0])
	require.NoError(t, err)
	require.Equal(t, []string{"home", "listed", "opaque"}, implied)
	implied, err = Implied(dirs[2])
	require.NoError(t, err)
	above := filepath.Join(dir, "above")
	require.NoError(t, os.Mkdir(above, 0o755))
	require.NoError(t, Inherit(above, implied, dirs))
	require.Equal(t, "1777 0 tmp\n700 1000 home/user\n755 0 gone\n755 0 new\n755 0 opaque/in\n750 0 listed\n755 0 listed/in\na b c d e f\n",
		overlaid(t, dir, "above:layer2:layer1:layer0", "", `stat -c "%a %u %n" tmp home/user gone new opaque/in listed listed/in; echo $(basename -a tmp/* home/user/* gone/* new/* opaque/in/* listed/in/*)`))
}

// TestSocketsAreLeftOut packs a directory with a socket of two names.
func TestSocketsAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	defer listener.Close()
	require.NoError(t, os.Link(filepath.Join(dir, "socket"), filepath.Join(dir, "twin")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "u"), nil, 0o644))
	var packed bytes.Buffer
	_, err = Pack(&packed, dir)
	require.NoError(t, err)
	require.Len(t, headers(t, packed.Bytes()), 1)
}
