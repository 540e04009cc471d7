// Package stats shows what containers use: as a table, which on a terminal is written over the one
// before, or as JSON, an object a line. Taking a reading is up to the program, which fills in a
// Usage; Watch compares it with the reading before. The columns of Network are for a later stage.
// The lesson reads Usage.
package stats

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/units"
)

// Usage is what a container uses, in bytes unless noted. A limit of 0 means none.
type Usage struct {
	PID         int     `json:"pid"`
	Command     string  `json:"command"`
	CPU         float64 `json:"cpu_percent"` // of one CPU, since the reading before
	Memory      int64   `json:"memory"`      // without the file cache that can be given up at once
	MemoryLimit int64   `json:"memory_limit"`
	Pids        int64   `json:"pids"`
	PidsLimit   int64   `json:"pids_limit"`
	Read        int64   `json:"block_read"`
	Written     int64   `json:"block_written"`
	*Network
	Pressure string `json:"pressure,omitempty"` // see cgroupfs.Pressure

	Used    time.Duration `json:"-"` // CPU time since the beginning
	At      time.Time     `json:"-"`
	history []float64     // of CPU, the last 20
}

// Network is how many bytes have passed the links of a network of the container's own.
type Network struct {
	Received int64 `json:"net_received"`
	Sent     int64 `json:"net_sent"`
}

// since computes the share of CPU time since an earlier reading.
func (u *Usage) since(before *Usage) {
	u.CPU = 100 * float64(u.Used-before.Used) / float64(u.At.Sub(before.At))
	u.history = append(before.history[max(0, len(before.history)-19):], u.CPU)
}

// Display says how readings are shown.
type Display struct {
	JSON    bool // not as a table
	InPlace bool // on a terminal, over what it shows now; Watch sets it
	Network bool // the table has a column for it, and all readings have it
}

// Watch shows what containers have used in a second: once, or with stream every second until it
// fails, on a terminal in place. read takes a reading of each under a name that is always the same;
// one without a PID has ended meanwhile, and is left out.
func (d Display) Watch(out io.Writer, stream bool, read func() (map[string]*Usage, error)) error {
	_, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ)
	d.InPlace = err == nil && stream
	before, err := running(read)
	for err == nil {
		time.Sleep(time.Second)
		now, err := running(read)
		if err != nil {
			return err
		}
		for name, u := range now {
			if old := before[name]; old != nil {
				u.since(old)
			}
		}
		if err := d.Show(out, now); err != nil || !stream {
			return err
		}
		before = now
	}
	return err
}

// running leaves out the readings of containers that have ended.
func running(read func() (map[string]*Usage, error)) (map[string]*Usage, error) {
	readings, err := read()
	maps.DeleteFunc(readings, func(_ string, u *Usage) bool { return u.PID == 0 })
	return readings, err
}

// Show prints readings, sorted by PID.
func (d Display) Show(out io.Writer, readings map[string]*Usage) error {
	list := slices.SortedFunc(maps.Values(readings), func(a, b *Usage) int { return a.PID - b.PID })
	if !d.JSON {
		return d.table(out, list)
	}
	lines := json.NewEncoder(out)
	for _, u := range list {
		if err := lines.Encode(u); err != nil {
			return err
		}
	}
	return nil
}

func (d Display) table(out io.Writer, list []*Usage) error {
	if d.InPlace {
		fmt.Fprint(out, "\x1b[?7l\x1b[H\x1b[J") // lines too long for it are cut, not broken
		defer fmt.Fprint(out, "\x1b[?7h")
	}
	traffic := ""
	if d.Network {
		traffic = "RECEIVED / SENT\t"
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\tCOMMAND\tCPU\tLATELY\tMEMORY / LIMIT\tPIDS / LIMIT\tREAD / WRITTEN\t"+traffic+"WAITED cpu/mem/io")
	for _, u := range list {
		if d.Network {
			traffic = units.FormatSize(u.Received) + " / " + units.FormatSize(u.Sent) + "\t"
		}
		fmt.Fprintf(table, "%d\t%.20s\t%.1f%%\t%s\t%s / %s\t%d / %s\t%s / %s\t%s%s\n", u.PID, u.Command, u.CPU, units.Sparkline(u.history),
			units.FormatSize(u.Memory), orNone(u.MemoryLimit, units.FormatSize(u.MemoryLimit)), u.Pids, orNone(u.PidsLimit, fmt.Sprint(u.PidsLimit)),
			units.FormatSize(u.Read), units.FormatSize(u.Written), traffic, u.Pressure)
	}
	return table.Flush()
}

func orNone(limit int64, text string) string {
	if limit == 0 {
		return "none"
	}
	return text
}
