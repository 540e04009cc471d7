package pictures

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// mountPoint is a line of mountinfo, proc_pid_mountinfo(5).
type mountPoint struct {
	root, point, options, tags, fstype string
}

// shownMounts are those that every host has. What else there is depends on the kernel, and on
// the version of cgroups, and would be more of the same.
var shownMounts = []string{
	"/", "/proc", "/proc/sys", "/proc/bus", "/proc/keys", "/proc/timer_list", "/sys", "/sys/fs/cgroup",
	"/sys/firmware", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
}

// drawMounts draws the tree of mounts, from what the kernel says inside.
func drawMounts(b *box) (*drawing, error) {
	text, err := b.run(0, "box rootfs tiny >/dev/null; box run --rootfs tiny cat /proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	all, err := mountPoints(text)
	if err != nil {
		return nil, err
	}
	d := newDrawing("What is mounted in a container",
		"A tree of mounts. The root, proc, dev and three files in etc are the container's own, to write to. Parts of proc, and sys, are read-only. Over some files of proc and sys lies something empty.")
	const top, row = 66, 31
	reached := map[string]int{} // how far down the line from a mount to those in it goes
	for n, point := range shownMounts {
		i := slices.IndexFunc(all, func(m mountPoint) bool { return m.point == point })
		if i < 0 {
			return nil, fmt.Errorf("nothing is mounted on %s in the container: %w on this kernel", point, ErrMissing)
		}
		y := top + row*n
		if above := all[i].above(all); above != nil {
			x := margin + 30*all[i].depth(all)
			d.line("", x-14, reached[above.point], x-14, y+12, x+2, y+12)
			reached[above.point] = y + 12
		}
		reached[point] = y + 24
		d.mount(all[i], all, y)
	}
	return d, d.propagation(all, top+row*len(shownMounts)+10)
}

// mountPoints reads mountinfo.
func mountPoints(text string) ([]mountPoint, error) {
	var all []mountPoint
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(line, " - ")
		words, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(words) < 6 || len(kind) < 1 {
			return nil, fmt.Errorf("not a line of mountinfo: %s", line)
		}
		all = append(all, mountPoint{words[3], words[4], words[5], strings.Join(words[6:], " "), kind[0]})
	}
	return all, nil
}

// above is the mount that this one lies in, nil for the root.
func (m mountPoint) above(all []mountPoint) *mountPoint {
	for dir := m.point; dir != "/"; {
		dir = path.Dir(dir)
		if i := slices.IndexFunc(all, func(other mountPoint) bool { return other.point == dir }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

// depth says how many mounts this one lies in.
func (m mountPoint) depth(all []mountPoint) int {
	if above := m.above(all); above != nil {
		return 1 + above.depth(all)
	}
	return 0
}

// masks reports whether the mount only hides what is below it: a device like /dev/null over a
// file, or an empty file system that can only be read over a directory.
func (m mountPoint) masks(all []mountPoint) bool {
	inner := slices.ContainsFunc(all, func(other mountPoint) bool { return strings.HasPrefix(other.point, m.point+"/") })
	return m.root == "/null" || m.fstype == "tmpfs" && m.readOnly() && !inner
}

func (m mountPoint) readOnly() bool {
	return strings.HasPrefix(m.options, "ro")
}

// mount draws a row of the tree.
func (d *drawing) mount(m mountPoint, all []mountPoint, y int) {
	name := m.point
	if above := m.above(all); above != nil {
		name = strings.TrimPrefix(strings.TrimPrefix(m.point, above.point), "/")
	}
	d.text(margin+8+30*m.depth(all), y+17, "mono", name)
	switch {
	case m.masks(all):
		d.text(228, y+17, "soft", "empty")
		d.chip(368, y, "red", "masked")
	case m.readOnly():
		d.text(228, y+17, "soft", m.kind())
		d.chip(368, y, "blue", "read-only")
	default:
		d.text(228, y+17, "soft", m.kind())
		d.chip(368, y, "green", "its own")
	}
}

// kind says what is mounted, without what differs from host to host.
func (m mountPoint) kind() string {
	switch {
	case m.point == "/":
		return "a directory"
	case strings.HasPrefix(m.point, "/sys/fs/cgroup"):
		return "cgroups"
	}
	return m.fstype
}

// propagation adds what holds for all mounts, and fails when it does not.
func (d *drawing) propagation(all []mountPoint, y int) error {
	if i := slices.IndexFunc(all, func(m mountPoint) bool { return m.tags != "" }); i >= 0 {
		return fmt.Errorf("%s is connected with the host: %s", all[i].point, all[i].tags)
	}
	d.paragraph(margin, y+20, "soft", "All are private: what is mounted on the host later does not appear here, nor the other way.", 48)
	return nil
}
