// What a box's root is made of: the first line of its mounts that is mounted on /, as
// proc_pid_mountinfo(5) has it. An overlay names its layers among the options of the mount.
package live

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"stagebox/lessons/internal/host"
)

// Root is where the files of a box come from.
type Root struct {
	Kind   string  `json:"kind"`             // "host", "overlay", "directory" or "" where it is not seen
	Type   string  `json:"type"`             // of the file system, such as ext4
	Source string  `json:"source,omitempty"` // the directory of that file system
	Layers []Layer `json:"layers,omitempty"` // the highest first
	Mounts []Mount `json:"mounts"`           // other mounts that the host does not have
}

// Layer is a directory of an overlay.
type Layer struct {
	Path     string `json:"path"`
	Writable bool   `json:"writable"`
}

// Mount is something mounted in a box.
type Mount struct {
	At       string `json:"at"`
	Type     string `json:"type"`
	Source   string `json:"source,omitempty"` // the directory of its file system, when not the whole of it
	ReadOnly bool   `json:"readOnly"`
}

// mountPoint is a line of mountinfo:
//
//	36 35 98:0 /sub /mnt rw,noatime master:1 - ext4 /dev/root rw,errors=continue
type mountPoint struct {
	device, root, at string
	options          []string
	fstype           string
	super            []string // options of the file system, not yet unescaped
}

// mounts skips lines that are not as they should be.
func (r Roots) mounts(pid string) (all []mountPoint) {
	for _, line := range r.lines(pid, "mountinfo") {
		left, right, _ := strings.Cut(line, " - ")
		l, f := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(f) < 3 {
			continue
		}
		all = append(all, mountPoint{l[2], host.Unescape(l[3]), host.Unescape(l[4]), strings.Split(l[5], ","), f[0], strings.Split(f[2], ",")})
	}
	return all
}

// root compares the mounts of a process with the host's.
func (r Roots) root(pid int, host []mountPoint) Root {
	root := Root{Mounts: []Mount{}}
	top := -1
	mounts := r.mounts(strconv.Itoa(pid))
	for i, m := range mounts {
		if m.at == "/" {
			top = i // the last one covers the others
		}
	}
	for i, m := range mounts {
		if i != top && !slices.ContainsFunc(host, m.same) {
			root.Mounts = append(root.Mounts, mount(m))
		}
	}
	if top < 0 {
		return root
	}
	m := mounts[top]
	root.Kind, root.Type, root.Source = "directory", m.fstype, m.root
	switch {
	case slices.ContainsFunc(host, m.same):
		root.Kind = "host"
	case m.fstype == "overlay":
		root.Kind, root.Layers = "overlay", layers(m.super)
	}
	return root
}

// same is true for what is mounted at the same place in another mount namespace.
func (m mountPoint) same(o mountPoint) bool {
	return m.device == o.device && m.root == o.root && m.at == o.at
}

func mount(m mountPoint) Mount {
	source := m.root
	if source == "/" {
		source = ""
	}
	return Mount{m.at, m.fstype, source, slices.Contains(m.options, "ro")}
}

// layers reads upperdir=, lowerdir=A:B, and lowerdir+= and datadir+=, which newer mounts have,
// one for each layer. In a list, a colon that belongs to a name has a backslash before it.
func layers(options []string) (all []Layer) {
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch value = host.Unescape(value); name {
		case "upperdir":
			all = slices.Insert(all, 0, Layer{value, true})
		case "lowerdir":
			for _, dir := range list(value) {
				all = append(all, Layer{Path: dir})
			}
		case "lowerdir+", "datadir+":
			all = append(all, Layer{Path: value})
		}
	}
	return all
}

// list takes a:b\:c::d apart; what is after the double colon holds data only.
func list(text string) (dirs []string) {
	var dir strings.Builder
	flush := func() {
		if dir.Len() > 0 {
			dirs = append(dirs, path.Clean(dir.String()))
		}
		dir.Reset()
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			dir.WriteByte(text[i])
		case text[i] == ':':
			flush()
		default:
			dir.WriteByte(text[i])
		}
	}
	flush()
	return dirs
}
