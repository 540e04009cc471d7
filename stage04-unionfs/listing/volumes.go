package listing

import (
	"io"
	"strings"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/labels"
)

// VolumeOptions are the flags of volume ls.
type VolumeOptions struct {
	Quiet  bool     `short:"q" help:"Print only names."`
	Filter []string `short:"f" help:"Show only volumes that match: name, label, driver, dangling=true (no container uses it)." placeholder:"NAME=VALUE" sep:"none"`
	Format string   `help:"Output format: table, table TEMPLATE, json, or a Go template with {{.Name}}, {{.Mountpoint}}, {{.Labels}}." placeholder:"FORMAT"`
}

// Volume is a volume, and the names of the containers that have it.
type Volume struct {
	api.Volume

	Users []string
}

// volumeRow is what a template of volume ls can show.
type volumeRow struct {
	Driver, Labels, Mountpoint, Name, Scope string

	labels map[string]string
}

// Label is the value of a label.
func (row volumeRow) Label(key string) string { return row.labels[key] }

var volumeTable = format.Table{Header: format.Header{"Name": "VOLUME NAME", "Driver": "DRIVER",
	"Mountpoint": "MOUNTPOINT", "Scope": "SCOPE", "Labels": "LABELS"},
	Row: "{{.Driver}}\t{{.Name}}"}

// Write prints those of all volumes that the flags ask for.
func (o VolumeOptions) Write(w io.Writer, all func() ([]Volume, error)) error {
	f, err := filter.Parse(o.Filter, "name", "label", "dangling", "driver")
	if err == nil {
		err = f.OneOf("dangling", "true", "1", "false", "0")
	}
	if err != nil {
		return err
	}
	list, err := all()
	if err != nil {
		return err
	}
	rows := []any{}
	for _, v := range list {
		if v.matches(f) {
			rows = append(rows, volumeRow{Name: v.Name, Driver: v.Driver, Mountpoint: v.Mountpoint,
				Scope: v.Scope, Labels: strings.Join(labels.List(v.Labels), ","), labels: v.Labels})
		}
	}
	if o.Quiet && (o.Format == "" || strings.HasPrefix(o.Format, "table")) {
		o.Format = "{{.Name}}"
	}
	return volumeTable.Write(w, o.Format, rows)
}

// matches reports whether a volume passes the filters.
func (v Volume) matches(f filter.Filters) bool {
	dangling := func(value string) bool {
		return (value == "true" || value == "1") == (len(v.Users) == 0)
	}
	return f.Any("name", filter.Text(v.Name)) && f.Labels(v.Labels) && f.Any("dangling", dangling) &&
		f.Any("driver", func(name string) bool { return name == v.Driver })
}
