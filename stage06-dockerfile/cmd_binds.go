// The grammar of -v, --mount and --tmpfs, as Docker takes them; binds.go makes the mounts.
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/ids"
)

// binds reads the three flags; those nearer to the root come first.
func (f *Files) binds() ([]bind, error) {
	var list []bind
	for _, kind := range []struct {
		flag  string
		specs []string
		parse func(string) (bind, error)
	}{{"--volume", f.Volume, parseVolume}, {"--mount", f.Mount, parseMount}, {"--tmpfs", f.Tmpfs, parseTmpfs}} {
		for _, spec := range kind.specs {
			b, err := kind.parse(spec)
			if err == nil {
				err = b.check(list)
			}
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", kind.flag, spec, err)
			}
			list = append(list, b)
		}
	}
	slices.SortStableFunc(list, func(a, b bind) int { return strings.Count(a.target, "/") - strings.Count(b.target, "/") })
	return list, nil
}

// check looks at the place inside, and at the source.
func (b *bind) check(others []bind) error {
	if !path.IsAbs(b.target) {
		return fmt.Errorf("the place inside, %q, must be an absolute path", b.target)
	}
	b.target = path.Clean(b.target)
	switch top := strings.SplitN(b.target, "/", 3)[1]; {
	case b.target == "/" || top == "proc" || b.target == "/sys" || b.target == "/dev":
		return fmt.Errorf("%s is reserved: the container has its own there", b.target)
	case slices.ContainsFunc(others, func(o bind) bool { return o.target == b.target }):
		return fmt.Errorf("duplicate mount point: %s", b.target)
	case b.isVolume && !ids.IsName(b.source) && b.source != "":
		return fmt.Errorf("%q is neither a path with a slash in front nor the name of a volume, which is made of letters, digits and _ . -", b.source)
	case b.source == "" || b.isVolume:
		b.isDir = true
		return nil
	case !filepath.IsAbs(b.source):
		return fmt.Errorf("the host's path must be absolute: $PWD/%s, perhaps", b.source)
	}
	info, err := os.Stat(b.source)
	if err != nil {
		return fmt.Errorf("%w; make it first", err)
	}
	if info.Mode()&os.ModeSocket != 0 {
		return errors.New("it is a socket, a door to a service of the host: give the directory that it is in, if that is what you want")
	}
	b.isDir = info.IsDir()
	return nil
}

// parseVolume reads SRC:DST or SRC:DST:OPTIONS.
func parseVolume(spec string) (b bind, err error) {
	parts := strings.Split(spec, ":")
	if len(parts) == 1 && spec != "" { // a volume without a name
		return bind{target: spec, isVolume: true}, nil
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return b, fmt.Errorf("give SRC:DST or SRC:DST:ro")
	}
	b.source, b.target = parts[0], parts[1]
	b.isVolume = !strings.ContainsAny(b.source, "/")
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			switch option {
			case "ro":
				b.readOnly = true
			case "rw":
			default:
				return b, fmt.Errorf("%q is not an option: there are ro and rw", option)
			}
		}
	}
	return b, nil
}

// parseMount reads words "name=value", such as type=bind,src=/a,dst=/b,readonly.
func parseMount(spec string) (b bind, err error) {
	kind := "bind"
	var memory []string
	for word := range strings.SplitSeq(spec, ",") {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "type":
			kind = value
		case "src", "source":
			b.source = value
		case "dst", "target", "destination":
			b.target = value
		case "ro", "readonly":
			b.readOnly = value == "" || value == "true" || value == "1"
		case "tmpfs-size":
			memory = append(memory, "size="+value)
		case "tmpfs-mode":
			memory = append(memory, "mode="+value)
		default:
			return b, fmt.Errorf("%q is not known: there are type, src, dst, readonly, tmpfs-size and tmpfs-mode", name)
		}
	}
	switch {
	case kind == "volume" && len(memory) == 0:
		b.isVolume = true
		return b, nil
	case kind == "tmpfs" && b.source == "":
		return parseTmpfs(b.target + ":" + strings.Join(memory, ","))
	case kind != "bind":
		return b, fmt.Errorf("type=%s: there are bind, with a src, volume, with a name for it or none, and tmpfs, without one", kind)
	case b.source == "" || len(memory) > 0:
		return b, fmt.Errorf("a bind needs src and dst, and nothing of a tmpfs")
	}
	return b, nil
}

// parseTmpfs reads DST or DST:OPTIONS; the rest are Docker's usual ones.
func parseTmpfs(spec string) (b bind, err error) {
	target, options, _ := strings.Cut(spec, ":")
	b = bind{target: target, attrs: noSuid | noDev | noExec, options: []string{"mode=1777"}}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch option {
		case "", "rw", "noexec", "nosuid", "nodev":
			continue
		case "ro":
			b.readOnly = true
			continue
		case "exec":
			b.attrs &^= noExec
			continue
		}
		switch name {
		case "size":
			n, err := units.ParseSize(value)
			if err != nil || n < 1 {
				return b, fmt.Errorf("size=%s: %w", value, err)
			}
			b.options = append(b.options, fmt.Sprintf("size=%d", n))
		case "mode":
			if _, err := strconv.ParseUint(value, 8, 12); err != nil {
				return b, fmt.Errorf("mode=%s is not a mode such as 1777", value)
			}
			b.options[0] = option
		default:
			return b, fmt.Errorf("%q is not an option: there are size, mode, exec and ro", name)
		}
	}
	return b, nil
}
