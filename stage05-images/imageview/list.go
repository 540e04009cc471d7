package imageview

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage05-images/layertree"
	"stagebox/stage05-images/oci"
)

// Options are the flags of images.
type Options struct {
	Name    string   `arg:"" optional:"" name:"image" help:"Show only the images of this name, with or without a tag; * and ? match."`
	Quiet   bool     `short:"q" help:"Print only ids."`
	Digests bool     `help:"Show digests: the registry's, or else the manifest's."`
	Tree    bool     `help:"Draw the tree of layers that images share."`
	All     bool     `short:"a" help:"Docker's flag for intermediate images, of which box makes none."`
	NoTrunc bool     `help:"Do not truncate ids."`
	Filter  []string `short:"f" help:"Show only images that match: reference=NAME, label=KEY=VALUE, dangling=true (no name), before=IMAGE, since=IMAGE." placeholder:"NAME=VALUE" sep:"none"`
	Format  string   `help:"Output format: table, table TEMPLATE, json, or a Go template with {{.ID}}, {{.Repository}}, {{.Tag}}, {{.Size}} and others." placeholder:"FORMAT"`
}

// Find returns the image of a name, an id or the beginning of one.
type Find func(text string) (*oci.Image, error)

// Write prints images, the newest first: a row for each name, or a tree in which an image is a
// branch of the one that it was made from.
func (o Options) Write(w io.Writer, all []*oci.Image, find Find, sizes Sizes) error {
	sizes = sizes.Once()
	slices.SortStableFunc(all, func(a, b *oci.Image) int { return b.Created().Compare(a.Created()) })
	f, err := o.filters(find)
	if err != nil {
		return err
	}
	if o.Tree {
		tree(slices.DeleteFunc(all, func(i *oci.Image) bool { return len(f.rows(i)) == 0 })).Write(w, sizes)
		return nil
	}
	names := o.Quiet && (o.Format == "" || strings.HasPrefix(o.Format, "table"))
	if names {
		o.Format = "{{.ID}}"
	}
	rows := []any{}
	for _, image := range all {
		for _, row := range f.rows(image) {
			if row.ID = image.ID.String(); !o.NoTrunc {
				row.ID = short(image.ID)
			}
			if !names {
				row.Size = units.FormatSize(sizes.Of(image))
			}
			rows = append(rows, row)
		}
	}
	return o.table().Write(w, o.Format, rows)
}

// row is what a template can show of a name of an image.
type row struct {
	CreatedAt, CreatedSince, Digest, ID, Repository, Size, Tag string
}

func (o Options) table() format.Table {
	t := format.Table{Header: format.Header{"Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST",
		"ID": "IMAGE ID", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE"},
		Row: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"}
	if o.Digests {
		t.Row = strings.Replace(t.Row, "{{.ID}}", "{{.Digest}}\t{{.ID}}", 1)
	}
	return t
}

// filters are those of --filter, and the name that was asked for.
type filters struct {
	filter.Filters

	name          string
	before, since []time.Time
}

func (o Options) filters(find Find) (f filters, err error) {
	f.name = o.Name
	if f.Filters, err = filter.Parse(o.Filter, "before", "dangling", "label", "reference", "since"); err == nil {
		err = f.OneOf("dangling", "true", "1", "false", "0")
	}
	for _, pattern := range append([]string{f.name}, f.Filters["reference"]...) {
		if _, bad := path.Match(pattern, ""); bad != nil && err == nil {
			err = fmt.Errorf("images %s: %w of a name", pattern, bad)
		}
	}
	if err != nil {
		return f, err
	}
	f.before, err = created(f.Filters["before"], find)
	if err == nil {
		f.since, err = created(f.Filters["since"], find)
	}
	return f, err
}

// created is when images were made.
func created(names []string, find Find) (times []time.Time, err error) {
	for _, name := range names {
		image, err := find(name)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		times = append(times, image.Created())
	}
	return times, nil
}

// rows are the names of an image that pass, but for what the whole image has alike.
func (f filters) rows(image *oci.Image) (rows []row) {
	if !f.take(image) {
		return nil
	}
	for i, name := range image.Familiar() {
		if !f.named(name[0], name[1]) {
			continue
		}
		_, origin, _ := strings.Cut(image.Origins[i], "@")
		rows = append(rows, row{Repository: name[0], Tag: name[1],
			Digest:       cmp.Or(origin, image.Manifest.Digest.String()),
			CreatedSince: age(image.Created()), CreatedAt: image.Created().Local().Format("2006-01-02 15:04:05 -0700 MST")})
	}
	return rows
}

// take reports whether an image passes, whatever its name is.
func (f filters) take(image *oci.Image) bool {
	made := image.Created()
	isLater := func(t time.Time) bool { return !made.Before(t) }
	isEarlier := func(t time.Time) bool { return !made.After(t) }
	return f.Labels(image.Config.Config.Labels) &&
		!slices.ContainsFunc(f.before, isLater) && !slices.ContainsFunc(f.since, isEarlier) &&
		f.Any("dangling", func(value string) bool {
			return (value == "true" || value == "1") == (len(image.Names) == 0)
		})
}

// named reports whether a name is one that was asked for.
func (f filters) named(repository, tag string) bool {
	matches := func(pattern string) bool {
		whole, _ := path.Match(pattern, repository+":"+tag)
		without, _ := path.Match(pattern, repository)
		return whole || without
	}
	return (f.name == "" || matches(f.name)) && f.Any("reference", matches)
}

func tree(all []*oci.Image) *layertree.Tree {
	tree := &layertree.Tree{}
	for _, image := range all {
		var names []string
		for _, name := range image.Familiar() {
			names = append(names, strings.TrimSuffix(name[0]+":"+name[1], ":<none>"))
		}
		tree.Add(image.Config.RootFS.DiffIDs, names)
	}
	return tree
}
