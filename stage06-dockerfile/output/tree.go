package output

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage05-images/layer"
)

// writeFiles writes what writeTree writes until the context is done, of layers with the lowest
// first. Files of an ordinary user's layers may belong to several ids, and some only their owners
// can read: they are read in a user namespace, by a box that calls Inside.
func writeFiles(ctx context.Context, w io.Writer, at *time.Time, layers []string) error {
	layers = slices.Clone(layers)
	slices.Reverse(layers)
	w = &until{ctx, w}
	if os.Geteuid() == 0 {
		return writeTree(w, at, layers)
	}
	return layer.Inside(w, append([]string{"tree", seconds(at)}, layers...)...)
}

// Inside is for a box that writeFiles has started in a user namespace: it writes a tree. words are
// the time and the layers, as writeFiles puts them after "tree".
func Inside(w io.Writer, words ...string) error {
	at, err := timeOf(words[0])
	if err != nil {
		return err
	}
	return writeTree(w, at, words[1:])
}

// writeTree writes the files that layers, the top one first, show together, as a tar stream: without
// whiteouts, and with the owners that are noted beside the layers. If at is not nil, it is the
// time of all files.
func writeTree(w io.Writer, at *time.Time, layers []string) error {
	u, err := union.Open(layers)
	if err != nil {
		return err
	}
	defer u.Close()
	owners := make([]map[string]*layer.Owner, len(layers))
	for i, notes := range layer.OwnersOf(layers) {
		if owners[i], err = layer.ReadOwners(notes); err != nil {
			return err
		}
	}
	a := files.NewArchive(w)
	err = u.Root().Walk(func(n *union.Node, fd int) error {
		h, id, err := files.Describe(n.Path(), fd)
		if err != nil || h == nil {
			return err
		}
		if o := owners[n.Layer()][n.Path()]; o != nil {
			o.Restore(h)
		}
		if at != nil {
			h.ModTime = *at
		}
		return a.Write(h, id, fd)
	})
	if err != nil {
		return err
	}
	return a.Close()
}

// seconds is the word for a time on a command line.
func seconds(at *time.Time) string {
	if at == nil {
		return "none"
	}
	return strconv.FormatInt(at.Unix(), 10)
}

func timeOf(word string) (*time.Time, error) {
	if word == "none" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q: not a time in seconds", word)
	}
	at := time.Unix(seconds, 0)
	return &at, nil
}

// until is a writer that fails as soon as a context is done.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u *until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}
