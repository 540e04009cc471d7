// Layers, as the store makes them: how large they may be, and who packs them. What a layer is, as
// a tar stream and as a directory, is in the package layer.
package main

import (
	"fmt"
	"io"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage05-images/layer"
)

// LayerLimits are against bombs: archives that are small, and endless when they are unpacked.
type LayerLimits struct {
	MaxLayerSize  units.Size `help:"How large a layer may be when it is unpacked; -1 for any size." default:"64g" placeholder:"SIZE" group:"Layers:"`
	MaxLayerFiles int64      `help:"How many files and directories a layer may have; -1 for any number." default:"4000000" placeholder:"N" group:"Layers:"`
}

// check is a layer.Limit. Without signs, -1 is more than any number, and so is a count that has
// overflowed.
func (l LayerLimits) check(bytes, files int64) error {
	if uint64(bytes) > uint64(l.MaxLayerSize) {
		return fmt.Errorf("the layer is larger than %s: if you trust it, allow more with --max-layer-size",
			units.FormatSize(int64(l.MaxLayerSize)))
	}
	if uint64(files) > uint64(l.MaxLayerFiles) {
		return fmt.Errorf("the layer has more than %d files and directories: if you trust it, allow more with --max-layer-files",
			l.MaxLayerFiles)
	}
	return nil
}

// packLayer is layer.Pack, which runs inside if the files have many owners.
func packLayer(w io.Writer, dir string, owners ...string) (layer.Sum, error) {
	if !hasMany() {
		return layer.Pack(w, dir, owners...)
	}
	s := layer.NewSummer()
	err := goInside(io.MultiWriter(w, s), append([]string{"pack", dir}, owners...)...)
	return s.Sum(), err
}
