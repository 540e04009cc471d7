// Package mountspec reads the flags -v, --mount and --tmpfs as Docker does. Parse reads text only;
// Resolve looks at the paths of the host too.
// Types, NoCopy, Subpath, Labels and Layers are also for programs that have volumes and images.
package mountspec

import (
	"encoding/csv"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/units"
)

// Spec is one mount that a flag asks for.
type Spec struct {
	Type        string // of Types
	Source      string // a path of the host, or a name; empty if the mount needs none
	Target      string // the path inside
	ReadOnly    bool
	Options     []string // of a tmpfs: "name=value", as fsconfig(2) takes them
	Attrs       uint64   // of a tmpfs: MOUNT_ATTR flags
	Propagation string   // of a bind: "shared", "slave", or empty for private
	NoCopy      bool     // a new volume is not filled from the image
	NoEffect    []string // options that Docker takes and that change nothing here
	MakeSource  bool     // a missing directory of the host is made
	Alone       bool     // of a bind: without the mounts below it
	ReadOnlyTop bool     // of a bind that is read-only: the mounts below it are not
	Subpath     string   // of a volume or an image: what of it is mounted, without a leading /
	Text        string   // the flag, for errors

	IsDir     bool // by Resolve: the mount is of a directory
	IsMissing bool // by Resolve: the source is, and MakeSource is set

	Labels map[string]string // of a volume, if it is made for this

	Layers []string // of an image: its directories, the top one first; for the program to set
}

// Types are the types of mounts that a program has. If volume is one of them, it is the default
// type of --mount, otherwise bind is.
type Types []string

// Parse reads the values of -v, --mount and --tmpfs. With an error it returns those before it.
func (t Types) Parse(volumes, mounts, tmpfs []string) (list []Spec, err error) {
	for _, flag := range []struct {
		name  string
		specs []string
		parse func(string) (Spec, error)
	}{{"--volume", volumes, t.Volume}, {"--mount", mounts, t.Mount}, {"--tmpfs", tmpfs, Tmpfs}} {
		for _, text := range flag.specs {
			s, err := flag.parse(text)
			s.Text = flag.name + " " + text
			if err != nil {
				return list, fmt.Errorf("%s: %w", s.Text, err)
			}
			list = append(list, s)
		}
	}
	return list, nil
}

func (t Types) has(name string) bool { return slices.Contains(t, name) }

// Once leaves out repetitions, as Docker does with the values of -v.
func Once(list []string) (once []string) {
	for _, text := range list {
		if !slices.Contains(once, text) {
			once = append(once, text)
		}
	}
	return once
}

// Absolute replaces the relative paths of -v and --mount, which begin with a dot. The source of a
// mount whose type is not bind is not a path.
func Absolute(volumes, mounts []string) error {
	for i, spec := range volumes {
		source, rest, found := strings.Cut(spec, ":")
		if source, err := absolute(source); err != nil {
			return err
		} else if found {
			volumes[i] = source + ":" + rest
		}
	}
	for i, spec := range mounts {
		words, err := fields(spec)
		if err != nil {
			continue // Mount returns this error
		}
		if slices.ContainsFunc(words, isOtherType) {
			continue
		}
		for j, word := range words {
			name, value, _ := strings.Cut(word, "=")
			if name == "src" || name == "source" {
				if value, err = absolute(value); err != nil {
					return err
				}
				words[j] = name + "=" + value
			}
		}
		mounts[i] = Join(words...)
	}
	return nil
}

// isOtherType reports whether a word of --mount says that the source is not a path of the host.
func isOtherType(word string) bool {
	return strings.HasPrefix(word, "type=") && word != "type=bind"
}

func absolute(path string) (string, error) {
	if !strings.HasPrefix(path, ".") {
		return path, nil
	}
	return filepath.Abs(path)
}

// fields splits a line of comma-separated values, in which quotes protect a comma.
func fields(spec string) ([]string, error) {
	words, err := csv.NewReader(strings.NewReader(spec)).Read()
	if err != nil {
		return nil, fmt.Errorf("give words NAME=VALUE between commas: %w", err)
	}
	return words, nil
}

// Join is the opposite: it makes the value of --mount, quoting words that need it.
func Join(words ...string) string {
	var line strings.Builder
	w := csv.NewWriter(&line)
	w.Write(words)
	w.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}

// Volume reads -v: SRC:DST[:OPTIONS], or DST alone for a volume without a name.
func (t Types) Volume(spec string) (s Spec, err error) {
	parts := strings.Split(spec, ":")
	if len(parts) == 1 && spec != "" && t.has("volume") {
		return Spec{Type: "volume", Target: spec}, nil
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return s, fmt.Errorf("give SRC:DST or SRC:DST:ro")
	}
	s = Spec{Type: "bind", Source: parts[0], Target: parts[1], MakeSource: true}
	if !filepath.IsAbs(s.Source) && t.has("volume") {
		s.Type = "volume"
	}
	if len(parts) == 3 {
		err = s.options(parts[2])
	}
	return s, err
}

// options reads the options of -v, of which each kind may be there once.
func (s *Spec) options(text string) error {
	seen := map[string]bool{}
	for option := range strings.SplitSeq(text, ",") {
		kind, err := s.option(option)
		if err == nil && seen[kind] {
			err = fmt.Errorf("%s: two options about the same", text)
		}
		if err != nil {
			return err
		}
		seen[kind] = true
	}
	return nil
}

func (s *Spec) option(option string) (kind string, err error) {
	switch option {
	case "ro", "rw":
		s.ReadOnly = option == "ro"
		return "access", nil
	case "z", "Z":
		s.NoEffect = append(s.NoEffect, option)
		return "label", nil
	case "consistent", "cached", "delegated":
		s.NoEffect = append(s.NoEffect, option)
		return "consistency", nil
	case "nocopy":
		if s.Type != "volume" {
			return "", fmt.Errorf("nocopy is for a volume")
		}
		s.NoCopy = true
		return "copy", nil
	}
	return "propagation", s.propagation(option)
}

// propagation reads a word of mount_namespaces(7): an r in front includes the mounts below, which
// a bind always has.
func (s *Spec) propagation(word string) error {
	switch name := strings.TrimPrefix(word, "r"); {
	case s.Type != "bind" && (name == "private" || name == "slave" || name == "shared"):
		return fmt.Errorf("%s is for a path of the host", word)
	case name == "private":
	case name == "slave" || name == "shared":
		s.Propagation = name
	default:
		return fmt.Errorf("unknown option %q; options: ro, rw, z, Z, cached, delegated, consistent, nocopy, [r]private, [r]slave, [r]shared", word)
	}
	return nil
}

// Mount reads --mount: words "name=value", such as type=bind,src=/a,dst=/b,readonly.
func (t Types) Mount(spec string) (s Spec, err error) {
	words, err := fields(spec)
	if err != nil {
		return s, err
	}
	s.Type = "bind"
	if t.has("volume") {
		s.Type = "volume"
	}
	var later [][2]string // about one type only
	for _, word := range words {
		name, value, given := strings.Cut(word, "=")
		switch name = strings.ToLower(name); name {
		case "type":
			s.Type = value
		case "src", "source":
			s.Source = value
		case "dst", "target", "destination":
			s.Target = value
		case "ro", "readonly":
			s.ReadOnly, err = boolean(name, value, given)
		case "consistency":
			s.NoEffect = append(s.NoEffect, word)
		default:
			if !given {
				value = "true"
			}
			later = append(later, [2]string{name, value})
		}
		if err != nil {
			return s, err
		}
	}
	return s.finish(t, later)
}

// finish applies the words about one type, and checks that the mount is complete.
func (s Spec) finish(t Types, words [][2]string) (Spec, error) {
	if !t.has(s.Type) {
		return s, fmt.Errorf("type=%s: types are %s", s.Type, strings.Join(t, ", "))
	}
	if s.Type == "tmpfs" {
		s.Attrs = tmpfsAttrs
	}
	s.ReadOnly = s.ReadOnly || s.Type == "image"
	for _, word := range words {
		if err := s.special(word[0], word[1]); err != nil {
			return s, err
		}
	}
	switch {
	case s.Target == "":
		return s, fmt.Errorf("dst is missing: the path inside")
	case s.Source == "" && (s.Type == "bind" || s.Type == "image"):
		return s, fmt.Errorf("type=%s needs a src", s.Type)
	case s.Source != "" && s.Type == "tmpfs":
		return s, fmt.Errorf("type=tmpfs has no src")
	}
	return s, nil
}

// special applies a word whose name begins with the type that it is about.
func (s *Spec) special(name, value string) (err error) {
	kind, _, _ := strings.Cut(name, "-")
	switch name {
	case "bind-propagation", "bind-nonrecursive", "bind-recursive", "volume-nocopy", "volume-subpath", "volume-label", "image-subpath", "tmpfs-size", "tmpfs-mode":
	default:
		return fmt.Errorf("unknown word %q; words: type, src, dst, readonly, bind-propagation, bind-recursive, volume-nocopy, volume-subpath, volume-label, image-subpath, tmpfs-size, tmpfs-mode", name)
	}
	if kind != s.Type {
		return fmt.Errorf("%s is for type=%s", name, kind)
	}
	switch name {
	case "bind-propagation":
		return s.propagation(value)
	case "bind-nonrecursive":
		s.Alone, err = boolean(name, value, true)
		return err
	case "bind-recursive":
		return s.recursive(value)
	case "volume-subpath", "image-subpath":
		if s.Subpath = filepath.Clean(value); !filepath.IsLocal(value) || s.Subpath == "." {
			err = fmt.Errorf("%s=%s: give a path inside the %s, without .. and a leading /", name, value, kind)
		}
		return err
	case "volume-label":
		key, text, _ := strings.Cut(value, "=")
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[key] = text
		return nil
	case "volume-nocopy":
		s.NoCopy, err = boolean(name, value, true)
		return err
	}
	return s.memory(strings.TrimPrefix(name, "tmpfs-"), value)
}

// recursive reads what becomes of the mounts below a bind, in Docker's words.
func (s *Spec) recursive(value string) error {
	switch value {
	case "enabled":
		return nil
	case "disabled":
		s.Alone = true
		return nil
	case "writable", "readonly":
		if s.ReadOnlyTop = value == "writable"; !s.ReadOnly {
			return fmt.Errorf("bind-recursive=%s is for a readonly mount", value)
		}
		return nil
	}
	return fmt.Errorf("bind-recursive=%s: give enabled, disabled, writable or readonly", value)
}

func boolean(name, value string, given bool) (bool, error) {
	if !given {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%s=%s is neither true nor false", name, value)
	}
	return b, nil
}

// tmpfsAttrs are Docker's defaults.
const tmpfsAttrs = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// Tmpfs reads --tmpfs: DST or DST:OPTIONS, the options as mount(8) has them.
func Tmpfs(spec string) (s Spec, err error) {
	target, options, _ := strings.Cut(spec, ":")
	s = Spec{Type: "tmpfs", Target: target, Attrs: tmpfsAttrs}
	for option := range strings.SplitSeq(options, ",") {
		switch name, value, given := strings.Cut(option, "="); {
		case given:
			err = s.memory(name, value)
		default:
			err = s.attribute(option)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// attribute reads an option without a value.
func (s *Spec) attribute(option string) error {
	attrs := map[string]uint64{"suid": unix.MOUNT_ATTR_NOSUID, "dev": unix.MOUNT_ATTR_NODEV, "exec": unix.MOUNT_ATTR_NOEXEC,
		"atime": unix.MOUNT_ATTR_NOATIME, "diratime": unix.MOUNT_ATTR_NODIRATIME}
	opposite, is := strings.CutPrefix(option, "no")
	switch {
	case option == "ro":
		s.ReadOnly = true
	case option == "rw":
		s.ReadOnly = false
	case attrs[option] != 0:
		s.Attrs &^= attrs[option]
	case is && attrs[opposite] != 0:
		s.Attrs |= attrs[opposite]
	case slices.Contains([]string{"", "defaults", "async", "relatime", "private", "rprivate"}, option):
	default:
		return fmt.Errorf("unknown option %q; options: size, mode, uid, gid, nr_inodes, nr_blocks, ro, exec, suid, dev, noatime", option)
	}
	return nil
}

// memory reads an option with a value.
func (s *Spec) memory(name, value string) error {
	bits, base := 32, 10
	switch name {
	case "size":
		return s.size(value)
	case "mode":
		bits, base = 12, 8
	case "uid", "gid":
		bits = 31
	case "nr_inodes", "nr_blocks":
		bits = 63
	default:
		return s.attribute(name + "=" + value)
	}
	if _, err := strconv.ParseUint(value, base, bits); err != nil {
		return fmt.Errorf("%s=%s is not a number of base %d and %d bits", name, value, base, bits)
	}
	s.Options = append(s.Options, name+"="+value)
	return nil
}

// size is bytes, a part of the machine's memory in per cent, or 0 for no limit.
func (s *Spec) size(value string) error {
	if percent, is := strings.CutSuffix(value, "%"); is {
		if n, err := strconv.ParseUint(percent, 10, 7); err != nil || n > 100 {
			return fmt.Errorf("size=%s is not a part of the memory", value)
		}
	} else if value != "0" {
		n, err := units.ParseSize(value)
		if err != nil || n < 1 {
			return fmt.Errorf("size=%s: %w", value, err)
		}
		value = strconv.FormatInt(n, 10)
	}
	s.Options = append(s.Options, "size="+value)
	return nil
}
