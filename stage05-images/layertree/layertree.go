// Package layertree draws which images share which layers. A layer is a branch of the one below
// it, and has the names of the images of which it is the top layer. No lesson reads it.
package layertree

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage05-images/digest"
)

// Tree is the layers of images. The zero value has none.
type Tree struct {
	layer digest.Digest
	names []string
	above []*Tree
}

// Add adds the layers of an image, the lowest first, and its names.
func (t *Tree) Add(layers []digest.Digest, names []string) {
	for _, layer := range layers {
		i := slices.IndexFunc(t.above, func(b *Tree) bool { return b.layer == layer })
		if i < 0 {
			t.above, i = append(t.above, &Tree{layer: layer}), len(t.above)
		}
		t = t.above[i]
	}
	t.names = append(t.names, names...)
}

// Write draws the tree, a line for each layer with its size in bytes.
func (t *Tree) Write(w io.Writer, size func(layer digest.Digest) int64) {
	t.write(w, "", size)
}

func (t *Tree) write(w io.Writer, indent string, size func(layer digest.Digest) int64) {
	for i, b := range t.above {
		edge, more := "├─ ", "│  "
		if i == len(t.above)-1 {
			edge, more = "└─ ", "   "
		}
		line := fmt.Sprintf("%s%s%.12s  %s  %s", indent, edge, b.layer.Encoded(),
			units.FormatSize(size(b.layer)), strings.Join(b.names, ", "))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		b.write(w, indent+more, size)
	}
}
