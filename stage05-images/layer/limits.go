// Limits on what a layer may unpack to: it comes from a stranger.

package layer

import (
	"fmt"

	"stagebox/stage02-cgroups/units"
)

// LimitFlags are the limits for a layer as flags of a command, against archives that are small and
// endless when they are unpacked.
type LimitFlags struct {
	MaxLayerSize  units.Size `help:"Maximum unpacked size of a layer; 0 or -1 for unlimited." default:"64g" placeholder:"SIZE" group:"Layers:"`
	MaxLayerFiles int64      `help:"Maximum number of files and directories in a layer; 0 or -1 for unlimited." default:"4000000" placeholder:"N" group:"Layers:"`

	MaxLayerWindow units.Size `help:"Maximum memory for decompressing a layer with zstd, up to 2g." default:"128m" placeholder:"SIZE" group:"Layers:"`
}

// flagDefaults are those of a command without the flags.
var flagDefaults = LimitFlags{MaxLayerSize: 64 << 30, MaxLayerFiles: 4_000_000}

// OrDefault returns the limits that were given, or the default ones.
func (l LimitFlags) OrDefault() LimitFlags {
	if l == (LimitFlags{}) {
		return flagDefaults
	}
	return l
}

// AfterApply checks the flags, also for a command that turns out to unpack nothing. It takes 0,
// which elsewhere is no limit, for -1: limits that were not given are 0 too.
func (l *LimitFlags) AfterApply() error {
	if l.MaxLayerSize == 0 {
		l.MaxLayerSize = -1
	}
	if l.MaxLayerFiles == 0 {
		l.MaxLayerFiles = -1
	}
	return l.checkWindow()
}

func (l *LimitFlags) checkWindow() error {
	if l.MaxLayerWindow < 1<<10 || l.MaxLayerWindow > 2<<30 {
		return fmt.Errorf("--max-layer-window %s: give 1k to 2g",
			units.FormatSize(int64(l.MaxLayerWindow)))
	}
	return nil
}

// SetWindow makes the limit of memory MaxWindow, if it is a possible one.
func (l LimitFlags) SetWindow() error {
	err := l.checkWindow()
	if err == nil {
		MaxWindow = uint64(l.MaxLayerWindow)
	}
	return err
}

// Check is a Limit: it is called with the bytes and files that a layer has so far.
func (l LimitFlags) Check(bytes, files int64) error { return l.CheckOf("layer", bytes, files) }

// CheckOf checks the bytes and files of something that is not a layer, named by what. As unsigned
// numbers, -1 and a count that has overflowed are larger than any other.
func (l LimitFlags) CheckOf(what string, bytes, files int64) error {
	if uint64(bytes) > uint64(l.MaxLayerSize) {
		return fmt.Errorf("the %s is larger than %s: if you trust it, allow more with "+
			"--max-layer-size", what, units.FormatSize(int64(l.MaxLayerSize)))
	}
	if uint64(files) > uint64(l.MaxLayerFiles) {
		return fmt.Errorf("the %s has more than %d files and directories: if you trust it, "+
			"allow more with --max-layer-files", what, l.MaxLayerFiles)
	}
	return nil
}
