package layertree

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage05-images/digest"
)

// TestBranches draws an image, one made from it, and one that shares only its lowest layer.
func TestBranches(t *testing.T) {
	layer := func(c string) digest.Digest { return digest.Digest("sha256:" + strings.Repeat(c, 64)) }
	tree, out := Tree{}, strings.Builder{}
	tree.Add([]digest.Digest{layer("a"), layer("b")}, []string{"app"})
	tree.Add([]digest.Digest{layer("a"), layer("b"), layer("c")}, []string{"next:1", "next:2"})
	tree.Add([]digest.Digest{layer("a"), layer("d")}, nil)
	tree.Write(&out, func(digest.Digest) int64 { return 5 })
	require.Equal(t, `└─ aaaaaaaaaaaa  5 B
   ├─ bbbbbbbbbbbb  5 B  app
   │  └─ cccccccccccc  5 B  next:1, next:2
   └─ dddddddddddd  5 B
`, out.String())
}
