// Package imageview shows images: the tables of docker images and docker history, and an image, and
// what a container has from it, in the shapes of the Docker Engine API. The caller says how large a
// layer is and where it lies. No lesson reads it.
package imageview

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage03-rootfs/envfile"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/registry"
)

// Sizes returns how many bytes the files of a layer have.
type Sizes func(diffID digest.Digest) int64

// Of adds up the layers of an image.
func (s Sizes) Of(image *oci.Image) (size int64) {
	for _, diffID := range image.Config.RootFS.DiffIDs {
		size += s(diffID)
	}
	return size
}

// Once asks for each layer once: images share layers, and have several names.
func (s Sizes) Once() Sizes {
	known := map[digest.Digest]int64{}
	return func(diffID digest.Digest) int64 {
		size, found := known[diffID]
		if !found {
			size = s(diffID)
			known[diffID] = size
		}
		return size
	}
}

// age is how long ago something was made. Tools that want the same bytes again set no time, or the
// beginning of Unix time.
func age(made time.Time) string {
	if made.Unix() <= 0 {
		return "N/A"
	}
	return units.FormatAge(made) + " ago"
}

// short returns the beginning of a digest.
func short(d digest.Digest) string { return d.Encoded()[:12] }

// HistoryOptions are the flags of history.
type HistoryOptions struct {
	NoTrunc bool   `help:"Do not truncate commands."`
	Quiet   bool   `short:"q" help:"Print only the ids of layers."`
	Format  string `help:"Output format: table, table TEMPLATE, json, or a Go template with {{.ID}}, {{.CreatedBy}}, {{.Size}} and others." placeholder:"FORMAT"`
}

// historyRow is what a template can show of a step.
type historyRow struct {
	Comment, CreatedAt, CreatedBy, CreatedSince, ID, Size string
}

// Write prints how an image came to be: the latest step first, and how much each has added. Unless
// it is full, a command is cut to 45 characters.
func (o HistoryOptions) Write(w io.Writer, image *oci.Image, sizes Sizes) error {
	var rows []any
	layers := image.Config.RootFS.DiffIDs
	for _, h := range image.Config.History {
		r := historyRow{ID: "<none>", Size: "0 B", CreatedSince: "-", CreatedBy: brief(h.CreatedBy, o.NoTrunc), Comment: brief(h.Comment, true)}
		if !h.EmptyLayer && len(layers) > 0 {
			r.ID, r.Size = short(layers[0]), units.FormatSize(sizes(layers[0]))
			layers = layers[1:]
		}
		if h.Created != nil {
			r.CreatedSince, r.CreatedAt = age(*h.Created), h.Created.Local().Format(time.RFC3339)
		}
		rows = append(rows, r)
	}
	for _, diffID := range layers { // of which the history says nothing
		rows = append(rows, historyRow{ID: short(diffID), Size: units.FormatSize(sizes(diffID)), CreatedSince: "-"})
	}
	slices.Reverse(rows)
	if o.Quiet && (o.Format == "" || strings.HasPrefix(o.Format, "table")) {
		o.Format = "{{.ID}}"
	}
	return historyTable.Write(w, o.Format, rows)
}

var historyTable = format.Table{Header: format.Header{"ID": "LAYER", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
	"CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT"},
	Row: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"}

// brief is a stranger's text on one line, without characters that would move a terminal's cursor.
func brief(text string, full bool) string {
	printable := func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}
	text = strings.Join(strings.Fields(strings.Map(printable, text)), " ")
	if runes := []rune(text); len(runes) > 45 && !full {
		return string(runes[:44]) + "…"
	}
	return text
}

// Describe returns an image in the shape of the API. all are those that may have the same manifest
// under other names; dir is where a layer lies.
func Describe(
	image *oci.Image, all []*oci.Image, sizes Sizes, dir func(diffID digest.Digest) string,
) api.Image {
	c := image.Config
	d := api.Image{ID: image.ID.String(), Created: api.Time(image.Created()), Author: c.Author,
		Config: runConfig(c.Config), Architecture: c.Architecture, Os: c.OS, Variant: c.Variant,
		Size: sizes.Of(image), GraphDriver: graphDriver(c.RootFS.DiffIDs, dir),
		RootFS: api.RootFS{Type: "layers"}, Metadata: api.Metadata{LastTagTime: api.Time(time.Time{})}}
	for _, diffID := range c.RootFS.DiffIDs {
		d.RootFS.Layers = append(d.RootFS.Layers, diffID.String())
	}
	if n := len(c.History); n > 0 {
		d.Comment = c.History[n-1].Comment
	}
	d.RepoTags, d.RepoDigests = Names(image, all)
	return d
}

// Names returns the names of an image that have a tag, and those by which a registry has it.
func Names(image *oci.Image, all []*oci.Image) (tags, digests []string) {
	tags, digests = []string{}, []string{}
	for _, other := range all {
		if other.Manifest.Digest != image.Manifest.Digest {
			continue
		}
		for _, name := range other.Names {
			ref, err := registry.ParseReference(name)
			if err == nil && ref.Digest == "" {
				tags = append(tags, ref.Familiar())
			} else if err == nil {
				ref.Tag = ""
				other.Origins = append(other.Origins, ref.Familiar())
			}
		}
		for _, origin := range other.Origins {
			if origin != "" && !slices.Contains(digests, origin) {
				digests = append(digests, origin)
			}
		}
	}
	return tags, digests
}

// graphDriver names the directories of layers, the top one as that to write to.
func graphDriver(layers []digest.Digest, dir func(digest.Digest) string) api.GraphDriver {
	g := api.GraphDriver{Name: "overlay", Data: map[string]string{}}
	var lower []string
	for i, diffID := range slices.Backward(layers) {
		if i == len(layers)-1 {
			g.Data["UpperDir"] = dir(diffID)
		} else {
			lower = append(lower, dir(diffID))
		}
	}
	if lower != nil {
		g.Data["LowerDir"] = strings.Join(lower, ":")
	}
	return g
}

// runConfig returns how to run an image, in the shape of the API.
func runConfig(c oci.RunConfig) api.Config {
	d := api.Config{User: c.User, ExposedPorts: singlePorts(c.ExposedPorts), Env: c.Env, Cmd: c.Cmd,
		Volumes: c.Volumes, WorkingDir: c.WorkingDir, Entrypoint: c.Entrypoint, OnBuild: c.OnBuild,
		Labels: c.Labels, StopSignal: c.StopSignal, Shell: c.Shell, ArgsEscaped: c.ArgsEscaped}
	if c.Healthcheck != nil {
		d.Healthcheck = c.Healthcheck
	}
	return d
}

// singlePorts has a range of ports, which podman writes for EXPOSE 80-82, as its ports: Docker's clients
// give up on the whole description otherwise. Any other key stays, and so does a range of more than 1024.
func singlePorts(exposed map[string]struct{}) map[string]struct{} {
	all := maps.Clone(exposed)
	for key := range exposed {
		ports, protocol, _ := strings.Cut(key, "/")
		from, to, isRange := strings.Cut(ports, "-")
		first, errFirst := strconv.ParseUint(from, 10, 16)
		last, errLast := strconv.ParseUint(to, 10, 16)
		if !isRange || errFirst != nil || errLast != nil || last < first || last-first >= 1024 {
			continue
		}
		delete(all, key)
		for port := first; port <= last; port++ {
			all[fmt.Sprintf("%d/%s", port, cmp.Or(protocol, "tcp"))] = struct{}{}
		}
	}
	return all
}

// Inherit adds to the description of a container what it has from its image. The entrypoint, unless
// it is nil, is that of the container instead.
func Inherit(d *api.Config, image oci.RunConfig, entrypoint *string, stopSignal string) {
	from := runConfig(image)
	if entrypoint != nil {
		isEmpty := func(word string) bool { return word == "" }
		from.Entrypoint = slices.DeleteFunc([]string{*entrypoint}, isEmpty)
	}
	d.Entrypoint, d.Cmd = from.Entrypoint, d.Cmd[min(len(from.Entrypoint), len(d.Cmd)):]
	d.ExposedPorts, d.Healthcheck = maps.Clone(from.ExposedPorts), from.Healthcheck
	d.OnBuild, d.Shell, d.StopSignal = from.OnBuild, from.Shell, stopSignal
	for label, value := range from.Labels {
		if _, isOwn := d.Labels[label]; !isOwn {
			d.Labels[label] = value
		}
	}
}

// Keep has an image say how a container of it ran, as commit does: the opposite of Inherit. A
// variable that the flags took from their caller has no value to keep.
func Keep(image *oci.RunConfig, d api.Config) {
	image.Entrypoint, image.Cmd = d.Entrypoint, d.Cmd
	isName := func(v string) bool { return !strings.Contains(v, "=") }
	image.Env = envfile.Set(image.Env, slices.DeleteFunc(slices.Clone(d.Env), isName))
	image.User, image.WorkingDir, image.StopSignal = d.User, d.WorkingDir, d.StopSignal
	image.Labels, image.Volumes, image.ExposedPorts = d.Labels, d.Volumes, d.ExposedPorts
	if check, ok := d.Healthcheck.(*oci.Healthcheck); ok {
		image.Healthcheck = check
	}
}
