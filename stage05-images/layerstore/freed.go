package layerstore

import (
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
)

// Freed counts what is freed by removing images: the layers that are gone afterwards. Others may be
// those of an image that stays.
type Freed struct {
	Dir   Dir
	sizes map[digest.Digest]int64
}

// Note takes down the sizes of the layers of an image that is about to be removed.
func (f *Freed) Note(image *oci.Image) {
	if f.sizes == nil {
		f.sizes = map[digest.Digest]int64{}
	}
	for _, diffID := range image.Config.RootFS.DiffIDs {
		f.sizes[diffID] = f.Dir.Size(diffID)
	}
}

// Bytes is the size of those layers that are gone now.
func (f *Freed) Bytes() (freed int64) {
	for diffID, size := range f.sizes {
		if !exists(f.Dir.Path(diffID)) {
			freed += size
		}
	}
	return freed
}
