package commandline

import (
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mount is one of HostConfig.Mounts.
type Mount struct {
	Type, Source, Target, Consistency string

	ReadOnly bool

	BindOptions *struct {
		Propagation string

		NonRecursive, CreateMountpoint, ReadOnlyNonRecursive, ReadOnlyForceRecursive bool
	}
	VolumeOptions *struct {
		NoCopy       bool
		Subpath      string
		Labels       map[string]string
		DriverConfig *struct {
			Name    string
			Options map[string]string
		}
	}
	ImageOptions *struct{ Subpath string }
	TmpfsOptions *struct {
		SizeBytes, Mode int64
		Options         [][]string
	}
}

// unknown finds what box has no word for.
func (m *Mount) unknown(given map[string]bool) {
	if o := m.BindOptions; o != nil && o.CreateMountpoint {
		given["Mounts: CreateMountpoint"] = true
	}
	if o := m.VolumeOptions; o != nil && o.DriverConfig != nil && (len(o.DriverConfig.Options) > 0 || o.DriverConfig.Name != "" && o.DriverConfig.Name != "local") {
		given["Mounts: DriverConfig"] = true
	}
	if o := m.TmpfsOptions; o != nil && len(o.Options) > 0 {
		given["Mounts: TmpfsOptions.Options"] = true
	}
}

// spec is the value of --mount.
func (m *Mount) spec() string {
	words := []string{"type=" + m.Type, "dst=" + m.Target}
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(m.Source != "", "src="+m.Source)
	add(m.ReadOnly, "readonly")
	if o := m.BindOptions; o != nil {
		add(o.Propagation != "", "bind-propagation="+o.Propagation)
		add(o.NonRecursive, "bind-recursive=disabled")
		add(o.ReadOnlyNonRecursive, "bind-recursive=writable")
		add(o.ReadOnlyForceRecursive, "bind-recursive=readonly")
	}
	if o := m.VolumeOptions; o != nil {
		add(o.NoCopy, "volume-nocopy")
		add(o.Subpath != "", "volume-subpath="+o.Subpath)
		for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
			add(true, "volume-label="+key+"="+o.Labels[key])
		}
	}
	if o := m.ImageOptions; o != nil {
		add(o.Subpath != "", "image-subpath="+o.Subpath)
	}
	if o := m.TmpfsOptions; o != nil {
		add(o.SizeBytes > 0, fmt.Sprintf("tmpfs-size=%d", o.SizeBytes))
		add(o.Mode > 0, fmt.Sprintf("tmpfs-mode=%o", o.Mode))
	}
	var spec strings.Builder
	line := csv.NewWriter(&spec) // quotes a comma
	line.Write(words)            // to memory
	line.Flush()
	return strings.TrimSuffix(spec.String(), "\n")
}
