// Package listing selects and prints containers and volumes as docker ps and docker volume ls do:
// the flags, the filters, and the columns of the tables. It also selects those that docker volume
// prune removes. The caller lists what there is; only the sizes of directories are read here. No
// lesson reads it.
package listing

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/labels"
)

// Options are the flags of ps.
type Options struct {
	All     bool     `short:"a" help:"Show all containers (default: running ones only)."`
	Quiet   bool     `short:"q" help:"Print only ids."`
	Filter  []string `short:"f" help:"Show only containers that match: name=web, status=exited, label=KEY=VALUE, before=NAME and others." placeholder:"NAME=VALUE" sep:"none"`
	Format  string   `help:"Output format: table, table TEMPLATE, json, or a Go template with {{.ID}}, {{.Names}}, {{.Status}}, {{.Label \"KEY\"}} and others." placeholder:"FORMAT"`
	Last    int      `short:"n" help:"Show the N most recently created containers, in any state." default:"-1" placeholder:"N"`
	Latest  bool     `short:"l" help:"Show the most recently created container, in any state."`
	NoTrunc bool     `help:"Do not truncate ids and commands."`
	Size    bool     `short:"s" help:"Show the size of each container, alone and with its layers."`
}

// Container is what is known of a container.
type Container struct {
	ID, Name              string
	Command               []string
	State                 string // in Docker's word: created, running, paused, restarting or exited
	ExitCode              int    // if it has exited
	Created               time.Time
	StartedAt, FinishedAt time.Time // of its last run
	Labels                map[string]string
	Mounts                []string // their sources, or their targets where they have none
	Volumes               int      // how many of the mounts are volumes
	Layers                []string // the directories of its root, its own first
	Health                string   // starting, healthy or unhealthy; "" without a check
}

func (c Container) isRunning() bool {
	return c.State == "running" || c.State == "paused" || c.State == "restarting"
}

// Source is where a list comes from; T is what the caller has for a container.
type Source[T any] struct {
	All      func() ([]T, error)
	Find     func(name string) (T, error)
	Describe func(T) Container                          // of several items at once
	Filters  map[string]func(item T, value string) bool // besides those of this package
}

// filters are the filters of ps. Of several values for one name, any may match.
var filters = map[string]func(c Container, value string) bool{
	"id": func(c Container, id string) bool { return filter.Text(c.ID)(id) },
	"name": func(c Container, name string) bool {
		return filter.Text(c.Name)(name) || filter.Text("/"+c.Name)(name)
	},
	"status": func(c Container, word string) bool { return c.State == word },
	"health": func(c Container, word string) bool { return cmp.Or(c.Health, "none") == word },
	"exited": func(c Container, code string) bool {
		return c.State == "exited" && strconv.Itoa(c.ExitCode) == code
	},
}

// Select returns the containers that the flags ask for, the one created last first.
func (s Source[T]) Select(o Options) (list []Described[T], err error) {
	f, err := o.filters(slices.Collect(maps.Keys(s.Filters)))
	if err != nil {
		return nil, err
	}
	items, err := s.All()
	if err != nil {
		return nil, err
	}
	all := make([]Described[T], len(items))
	batch.Spread(len(items), func(i int) { all[i] = Described[T]{s.Describe(items[i]), items[i]} })
	slices.SortFunc(all, func(a, b Described[T]) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	if all, err = s.between(all, f); err != nil {
		return nil, err
	}
	if o.Latest {
		o.Last = 1
	}
	always := o.All || o.Last > 0 || len(f["status"]) > 0
	list = all[:0]
	for _, d := range all {
		if (always || d.isRunning()) && s.matches(d, f) && (o.Last <= 0 || len(list) < o.Last) {
			list = append(list, d)
		}
	}
	return list, nil
}

// Described is what the caller has for a container, and what is known of it.
type Described[T any] struct {
	Container
	Item T
}

// filters reads the --filter flags; more are the names of the caller's own.
func (o Options) filters(more []string) (filter.Filters, error) {
	names := slices.AppendSeq(more, maps.Keys(filters))
	slices.Sort(names)
	f, err := filter.Parse(o.Filter, append([]string{"before", "label", "since"}, names...)...)
	if err != nil {
		return nil, err
	}
	err = f.OneOf("status", "created", "running", "paused", "exited", "restarting", "removing", "dead")
	err = errors.Join(err, f.OneOf("health", "starting", "healthy", "unhealthy", "none"))
	if err != nil {
		return nil, err
	}
	for _, code := range f["exited"] {
		if _, err := strconv.Atoi(code); err != nil {
			return nil, fmt.Errorf("--filter exited=%s: give an exit status", code)
		}
	}
	return f, nil
}

// between leaves the containers created before and since those that the filters name.
func (s Source[T]) between(all []Described[T], f filter.Filters) ([]Described[T], error) {
	for _, name := range append(slices.Clone(f["before"]), f["since"]...) {
		edge, err := s.Find(name)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		id := s.Describe(edge).ID
		at := slices.IndexFunc(all, func(d Described[T]) bool { return d.ID == id })
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
func (s Source[T]) matches(d Described[T], f filter.Filters) bool {
	for name, match := range filters {
		if !f.Any(name, func(value string) bool { return match(d.Container, value) }) {
			return false
		}
	}
	for name, match := range s.Filters {
		if !f.Any(name, func(value string) bool { return match(d.Item, value) }) {
			return false
		}
	}
	return f.Labels(d.Labels)
}

// Row is what a template can show of a container.
type Row struct {
	Command, CreatedAt, ID, Labels, LocalVolumes, Mounts, Names, RunningFor, Size, State, Status string

	labels map[string]string
}

// Label is the value of a label.
func (row Row) Label(key string) string { return row.labels[key] }

// Row returns the row of a container. The sizes are added up only if they are shown.
func (o Options) Row(c Container) Row {
	command := CommandLine(c.Command)
	row := Row{ID: c.ID, Names: c.Name, Command: strconv.Quote(command), State: c.State,
		CreatedAt:  c.Created.Local().Format("2006-01-02 15:04:05 -0700 MST"),
		RunningFor: units.FormatAge(c.Created) + " ago", Status: c.status(),
		Mounts: strings.Join(c.Mounts, ","), LocalVolumes: strconv.Itoa(c.Volumes),
		Labels: strings.Join(labels.List(c.Labels), ","), labels: c.Labels}
	if o.Size || strings.Contains(o.Format, ".Size") {
		row.Size = c.size()
	}
	if !o.NoTrunc {
		row.ID, row.Command = c.ID[:12], shorten(command)
	}
	return row
}

// CommandLine is a command on one line, as Docker shows it: an argument with a blank is in quotes.
func CommandLine(command []string) string {
	words := slices.Clone(command)
	for i, word := range words {
		if i > 0 && strings.Contains(word, " ") {
			words[i] = "'" + word + "'"
		}
	}
	return strings.Join(words, " ")
}

// shorten returns the beginning of a command line, in quotes.
func shorten(command string) string {
	line := []rune(command)
	if len(line) > 20 {
		line = append(line[:19], '…')
	}
	return strconv.Quote(string(line))
}

// status is the state in the words of docker ps.
func (c Container) status() string {
	switch c.State {
	case "paused":
		return "Up " + units.FormatAge(c.StartedAt) + " (Paused)"
	case "running":
		return "Up " + units.FormatAge(c.StartedAt) + healthWords[c.Health]
	case "created":
		return "Created"
	case "restarting":
		return fmt.Sprintf("Restarting (%d) %s ago", c.ExitCode, units.FormatAge(c.FinishedAt))
	}
	return fmt.Sprintf("Exited (%d) %s ago", c.ExitCode, units.FormatAge(c.FinishedAt))
}

var healthWords = map[string]string{"starting": " (health: starting)", "healthy": " (healthy)", "unhealthy": " (unhealthy)"}

// size is what a container has written, and that with the layers below it.
func (c Container) size() string {
	var all int64
	var sizes []int64
	var err error
	for _, dir := range c.Layers {
		n, errDir := files.Size(dir)
		sizes, all, err = append(sizes, n), all+n, errors.Join(err, errDir)
	}
	if err != nil { // an ordinary user may not read all
		return "-"
	}
	return units.FormatSize(sizes[0]) + " (virtual " + units.FormatSize(all) + ")"
}

// Write prints rows: a [Row], or a struct that embeds one and has further columns. line is the
// template of a row where none is given; more are the names of the further columns.
func (o Options) Write(w io.Writer, rows []any, line string, more ...string) error {
	table := format.Table{Header: format.Header{
		"ID": "CONTAINER ID", "Names": "NAMES", "Command": "COMMAND", "CreatedAt": "CREATED AT",
		"RunningFor": "CREATED", "State": "STATE", "Status": "STATUS", "Size": "SIZE",
		"Labels": "LABELS", "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES",
	}, Row: line}
	for _, name := range more {
		table.Header[name] = strings.ToUpper(name)
	}
	if o.Quiet && (o.Format == "" || strings.HasPrefix(o.Format, "table")) {
		o.Format = "{{.ID}}"
	}
	if o.Size {
		table.Row += "\t{{.Size}}"
	}
	return table.Write(w, o.Format, rows)
}
