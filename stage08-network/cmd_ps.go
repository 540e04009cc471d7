// box ps lists the containers of the store, box rm removes them.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/format"
)

type psCmd struct {
	All     bool     `short:"a" help:"Show all containers (default: running ones only)."`
	Quiet   bool     `short:"q" help:"Ids only."`
	Filter  []string `short:"f" help:"Show only those that match, such as name=web, status=exited, label=KEY=VALUE, before=NAME." placeholder:"NAME=VALUE" sep:"none"`
	Format  string   `help:"table, table TEMPLATE, json or a template: {{.ID}} {{.Names}} {{.Status}} {{.Label \"KEY\"}}." placeholder:"FORMAT"`
	Last    int      `short:"n" help:"Show the N created last, in any state." default:"-1" placeholder:"N"`
	Latest  bool     `short:"l" help:"Show the one created last, in any state."`
	NoTrunc bool     `help:"Show ids and commands in full."`
	Size    bool     `short:"s" help:"Show how much each has written, and with its layers."`

	Store
}

// Run is `box ps`.
func (c *psCmd) Run() error {
	f, err := filter.Parse(c.Filter, append([]string{"before", "label", "since"}, slices.Sorted(maps.Keys(psFilters))...)...)
	if err != nil {
		return err
	}
	list, err := c.list(f)
	if err != nil {
		return err
	}
	rows := []any{}
	for _, r := range list {
		rows = append(rows, c.row(r))
	}
	table := psTable
	if c.Quiet && (c.Format == "" || strings.HasPrefix(c.Format, "table")) {
		c.Format = "{{.ID}}"
	}
	if c.Size {
		table.Row += "\t{{.Size}}"
	}
	return table.Write(os.Stdout, c.Format, rows)
}

// list returns the containers to show, the one created last first.
func (c *psCmd) list(f filter.Filters) (list []*Record, err error) {
	if err := f.OneOf("status", "created", "running", "paused", "exited", "restarting", "removing", "dead"); err != nil {
		return nil, err
	}
	for _, code := range f["exited"] {
		if _, err := strconv.Atoi(code); err != nil {
			return nil, fmt.Errorf("--filter exited=%s: give an exit status", code)
		}
	}
	all, err := c.Store.all()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *Record) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	if all, err = c.between(all, f); err != nil {
		return nil, err
	}
	if c.Latest {
		c.Last = 1
	}
	always := c.All || c.Last > 0 || len(f["status"]) > 0
	for _, r := range all {
		if (always || r.isRunning()) && r.matches(f) && (c.Last <= 0 || len(list) < c.Last) {
			list = append(list, r)
		}
	}
	return list, nil
}

// between leaves the containers created before and since those that the filters name.
func (c *psCmd) between(all []*Record, f filter.Filters) ([]*Record, error) {
	for _, name := range append(slices.Clone(f["before"]), f["since"]...) {
		edge, err := c.Store.find(name)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		at := slices.IndexFunc(all, func(r *Record) bool { return r.ID == edge.ID })
		switch isBefore := slices.Contains(f["before"], name); {
		case isBefore:
			all = all[at+1:]
		case at >= 0:
			all = all[:at]
		}
	}
	return all, nil
}

// matches reports whether a container passes the filters.
func (r *Record) matches(f filter.Filters) bool {
	for name, match := range psFilters {
		if !f.Any(name, func(value string) bool { return match(r, value) }) {
			return false
		}
	}
	return f.Labels(r.Run.labels())
}

// psFilters are the filters of which one value has to match.
var psFilters = map[string]func(r *Record, value string) bool{
	"id":     func(r *Record, id string) bool { return filter.Text(r.ID)(id) },
	"name":   func(r *Record, name string) bool { return filter.Text(r.Name)(name) || filter.Text("/"+r.Name)(name) },
	"status": func(r *Record, word string) bool { return r.stateWord() == word },
	"exited": func(r *Record, code string) bool {
		return r.stateWord() == "exited" && strconv.Itoa(r.State.ExitCode) == code
	},
	"volume": func(r *Record, name string) bool {
		return slices.ContainsFunc(r.Run.requestedMounts(), func(m mountspec.Spec) bool { return m.Source == name || m.Target == name })
	},
	"ancestor": (*Record).descendsFrom,
	"network":  (*Record).isOn,
}

// psTable is the list without --format.
var psTable = format.Table{Header: format.Header{
	"ID": "CONTAINER ID", "Names": "NAMES", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED", "State": "STATE", "Status": "STATUS",
	"Size": "SIZE", "Labels": "LABELS", "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES",
	"Image": "IMAGE",
	"Ports": "PORTS", "Networks": "NETWORKS",
}, Row: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"}

// psRow is what a template of ps can show of a container.
type psRow struct {
	Command, CreatedAt, ID, Labels, LocalVolumes, Mounts, Names, RunningFor, Size, State, Status string

	Image string

	Networks, Ports string

	labels map[string]string
}

// Label is the value of a label.
func (row psRow) Label(key string) string { return row.labels[key] }

func (c *psCmd) row(r *Record) psRow {
	row := psRow{ID: r.ID, Names: r.Name, CreatedAt: r.Created.Format("2006-01-02 15:04:05 -0700 MST"), RunningFor: units.FormatAge(r.Created) + " ago",
		Command: strconv.Quote(strings.Join(r.Run.Command.argv(), " ")), State: r.stateWord(), Status: r.status(), labels: r.Run.labels()}
	var mounts []string
	for _, m := range r.Run.requestedMounts() {
		mounts = append(mounts, cmp.Or(m.Source, m.Target))
	}
	row.Mounts, row.Labels = strings.Join(mounts, ","), strings.Join(listLabels(row.labels), ",")
	row.LocalVolumes = strconv.Itoa(len(r.volumes()))
	if c.Size || strings.Contains(c.Format, ".Size") {
		row.Size = r.size()
	}
	if !c.NoTrunc {
		row.ID, row.Command = r.ID[:12], r.shortCommand()
	}
	row.Image = cmp.Or(r.Image, "-")
	row.Networks, _, _ = r.Run.mode(r.Run.Isolation)
	row.Ports = strings.Join(r.State.Ports, ", ")
	return row
}

// size is what a container has written, and that with the layers below it.
func (r *Record) size() string {
	own, err := files.Size(r.path("upper"))
	all := own
	for _, dir := range r.Run.topFirst() {
		n, errDir := files.Size(dir)
		all, err = all+n, errors.Join(err, errDir)
	}
	if err != nil { // an ordinary user may not read all
		return "-"
	}
	return units.FormatSize(own) + " (virtual " + units.FormatSize(all) + ")"
}

// shortCommand is the beginning of the command line, in quotes.
func (r *Record) shortCommand() string {
	line := []rune(strings.Join(r.Run.Command.argv(), " "))
	if len(line) > 20 {
		line = append(line[:19], '…')
	}
	return fmt.Sprintf("%q", string(line))
}

// status is the state in the words of docker ps.
func (r *Record) status() string {
	switch {
	case r.isRunning() && r.isPaused():
		return "Up " + units.FormatAge(r.State.StartedAt) + " (Paused)"
	case r.isRunning():
		return "Up " + units.FormatAge(r.State.StartedAt)
	case r.State.Status == "created":
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s ago", r.State.ExitCode, units.FormatAge(r.State.FinishedAt))
}

// isPaused reports whether the container's cgroup is frozen.
func (r *Record) isPaused() bool {
	g, err := groupOf(r.State.PID)
	if err != nil {
		return false
	}
	dir, _ := g.dir("")
	return cgroupfs.Field(dir+"/cgroup.events", "frozen") == 1
}

type rmCmd struct {
	someContainers

	Force   bool `short:"f" help:"End it first, if it runs; and do not mind if there is none."`
	Volumes bool `short:"v" help:"Its volumes without a name too."`
}

// Run is `box rm`.
func (c *rmCmd) Run() error {
	return sideBySide(c.Names, c.remove)
}

func (c *rmCmd) remove(name string) error {
	if c.Force {
		r, err := c.Store.find(name)
		if errors.Is(err, errNoContainer) {
			return c.Store.dropName(name)
		}
		var unreadable damaged
		if errors.As(err, &unreadable) {
			return c.Store.discard(unreadable.id)
		}
		if err == nil {
			err = c.Store.clearLock(r.ID)
		}
		if err != nil {
			return err
		}
		if r.isRunning() {
			if err := r.kill(); err != nil {
				return err
			}
			if _, err := os.Stat(r.path()); errors.Is(err, unix.ENOENT) {
				return nil // with --rm
			}
		}
	}
	r, err := c.Store.take(name)
	if err != nil {
		return err
	}
	if c.Volumes && len(r.Volumes) > 0 { // written down, so that it is done even if box is killed
		r.Run.Rm = true
		if err := r.write(); err != nil {
			return err
		}
	}
	return errors.Join(r.remove(), c.Store.dropName(r.Name))
}
