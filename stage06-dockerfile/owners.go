// What the files of a layer should be and cannot is kept beside the layer, in a text file.
// An ordinary user may make files for himself only, whoever owned them in the image, and no
// devices (chown(2), mknod(2)). The file is there only where it is needed. Each such file of
// the layer has a line in it, and so has each other name of one:
//
//	file UID GID HAVE:WANT MAJOR:MINOR XATTRS "path"
//	link "target" "path"
//
// HAVE is the octal mode that the file got, WANT the one that it should have: with the kind
// of file before it (20666 is of a character device) where an empty file stands for a device.
// XATTRS is name=value&name=value as in a URL, or "-" for none. Paths are quoted as in Go.
// The last line about a path counts. packLayer puts all this into the headers that it writes,
// so that a layer which an ordinary user unpacks and packs again has the owners that it came
// with.
package main

import (
	"archive/tar"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/files"
)

// ownersSuffix is that of the text file, whose name begins with that of the directory.
const ownersSuffix = ".owners"

// intention is what a file should be and is not.
type intention struct {
	uid, gid     int
	have, want   uint32 // modes
	major, minor uint32
	xattrs       url.Values
}

// ownersWriter writes such a file when there is something to write.
type ownersWriter struct {
	path   string
	text   *os.File
	buffer *bufio.Writer
	again  bool // a path came twice: from now on each gets a line, for its old one may be wrong
}

func (w *ownersWriter) file(name string, i *intention) error {
	return w.line("file %d %d %o:%o %d:%d %s %q\n", i.uid, i.gid, i.have, i.want, i.major, i.minor, cmp.Or(i.xattrs.Encode(), "-"), name)
}

func (w *ownersWriter) link(target, name string) error {
	if w.text == nil { // the target has no line
		return nil
	}
	return w.line("link %q %q\n", target, name)
}

func (w *ownersWriter) line(format string, args ...any) (err error) {
	if w.text == nil {
		if w.text, err = os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		w.buffer = bufio.NewWriter(w.text)
	}
	_, err = fmt.Fprintf(w.buffer, format, args...)
	return about("write", w.path, err)
}

func (w *ownersWriter) close() error {
	if w.text == nil {
		return nil
	}
	return errors.Join(w.buffer.Flush(), w.text.Close())
}

// readOwners reads what was written about layers, the top one first, by path.
func readOwners(paths []string) (map[string]*intention, error) {
	owners := map[string]*intention{}
	for _, path := range slices.Backward(paths) {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for err == nil && lines.Scan() {
			err = readOwner(lines.Text(), owners)
		}
		if err := errors.Join(err, lines.Err(), file.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return owners, nil
}

func readOwner(line string, owners map[string]*intention) error {
	i := &intention{}
	var name, target, xattrs string
	if strings.HasPrefix(line, "link ") {
		_, err := fmt.Sscanf(line, "link %q %q", &target, &name)
		owners[name] = owners[target]
		return about("read the line", line, err)
	}
	_, err := fmt.Sscanf(line, "file %d %d %o:%o %d:%d %s %q", &i.uid, &i.gid, &i.have, &i.want, &i.major, &i.minor, &xattrs, &name)
	if err == nil && xattrs != "-" {
		i.xattrs, err = url.ParseQuery(xattrs)
	}
	owners[name] = i
	return about("read the line", line, err)
}

// restore makes of a file's header what it should be. Its mode and kind are left alone when
// they have changed since.
func (i *intention) restore(h *tar.Header) {
	h.Uid, h.Gid = i.uid, i.gid
	kind := i.want & unix.S_IFMT
	if uint32(h.Mode) == i.have && (kind == 0 || h.Typeflag == tar.TypeReg && h.Size == 0) {
		h.Mode = int64(i.want & 0o7777)
		if kind != 0 {
			h.Typeflag, _ = files.TarType(kind)
			h.Devmajor, h.Devminor = int64(i.major), int64(i.minor)
		}
	}
	for name, values := range i.xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[files.XattrPrefix+name] = values[0]
	}
}
