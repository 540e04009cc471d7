// The commands for the images of the store: images, tag, rmi, image prune and history; commit to an
// image, and an image as inspect shows it.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/go-digest"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage05-images/layertree"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/registry"
)

type imagesCmd struct {
	Quiet   bool `short:"q" help:"Ids only."`
	Digests bool `help:"The digests too: those by which registries have the images, or else those of the manifests."`
	Tree    bool `help:"Draw which images have which layers."`

	Store
}

// Run is `box images`.
func (c *imagesCmd) Run() error {
	all, err := c.Store.layout().Images()
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b *oci.Image) int { return b.Created().Compare(a.Created()) })
	if c.Tree {
		return c.Store.drawTree(all)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	columns := []string{"REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"}
	c.row(table, columns)
	for _, image := range all {
		for i, name := range image.Familiar() {
			_, origin, _ := strings.Cut(image.Origins[i], "@")
			c.row(table, []string{name[0], name[1], cmp.Or(origin, image.Manifest.Digest.String()), short(image.ID), age(image.Created()), units.FormatSize(c.Store.sizeOf(image))})
		}
	}
	return table.Flush()
}

// age is how long ago something was made. Tools that want the same bytes again set no time, or the
// beginning of Unix time.
func age(made time.Time) string {
	if made.Unix() <= 0 {
		return "N/A"
	}
	return units.FormatAge(made) + " ago"
}

func (c *imagesCmd) row(table *tabwriter.Writer, cells []string) {
	switch {
	case c.Quiet && cells[0] == "REPOSITORY":
		return
	case c.Quiet:
		cells = cells[3:4]
	case !c.Digests:
		cells = slices.Delete(slices.Clone(cells), 2, 3)
	}
	fmt.Fprintln(table, strings.Join(cells, "\t"))
}

// drawTree draws the layers as a tree: an image is a branch of the one that it was made from.
func (s Store) drawTree(all []*oci.Image) error {
	var tree layertree.Tree
	for _, image := range all {
		var names []string
		for _, name := range image.Familiar() {
			names = append(names, strings.TrimSuffix(name[0]+":"+name[1], ":<none>"))
		}
		tree.Add(image.Config.RootFS.DiffIDs, names)
	}
	tree.Write(os.Stdout, s.layerSize)
	return nil
}

type tagCmd struct {
	Image string `arg:"" help:"An image: a name, an id, or the beginning of one."`
	Name  string `arg:"" help:"The new name."`

	Store
}

// Run is `box tag`.
func (c *tagCmd) Run() error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	ref, err := registry.ParseNewName(c.Name)
	if err != nil {
		return err
	}
	image, err := c.Store.layout().Find(c.Image)
	if err != nil {
		return err
	}
	return c.Store.layout().Tag(image.Manifest, ref.String())
}

type rmiCmd struct {
	Names []string `arg:"" name:"image" help:"Names, ids, or beginnings of ids."`
	Force bool     `short:"f" help:"All names of an image by its id; also if containers have it."`

	Store
}

// Run is `box rmi`.
func (c *rmiCmd) Run() error {
	if err := c.Store.openImages(); err != nil {
		return err
	}
	err := batch.Each(c.Names, c.remove)
	complain(c.Store.collect()) // the images are removed, whatever becomes of their layers
	return err
}

func (c *rmiCmd) remove(text string) error {
	image, err := c.Store.layout().Find(text)
	if err != nil {
		if damaged, err := c.Store.layout().RemoveDamaged(text); damaged || err != nil {
			return err
		}
	}
	if errors.Is(err, oci.ErrNoImage) && c.Force {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := c.Store.layout().Images()
	if err != nil {
		return err
	}
	twin := false // another manifest with the same configuration
	for _, other := range all {
		if other.Manifest.Digest == image.Manifest.Digest {
			image = other // with its names
		} else if other.ID == image.ID {
			twin = true
		}
	}
	names := image.Names
	if ref, err := registry.ParseReference(text); err == nil && slices.Contains(names, ref.String()) {
		names = []string{ref.String()}
	} else if len(names) > 1 && !c.Force {
		return fmt.Errorf("the image %s has several names: %s; remove one of them, or all with -f", short(image.ID), strings.Join(names, ", "))
	}
	if len(names) == len(image.Names) && !c.Force {
		if err := c.Store.unusedImage(image); err != nil {
			return err
		}
	}
	if err := c.Store.untagAndPrint(image, names); err != nil || twin || len(names) < len(image.Names) {
		return err
	}
	_, err = fmt.Println("Deleted: " + image.ID.String())
	return err
}

// untagAndPrint removes names of an image, and prints them.
func (s Store) untagAndPrint(image *oci.Image, names []string) error {
	err := s.untag(image, names)
	for _, name := range names {
		if ref, errName := registry.ParseReference(name); err == nil && errName == nil {
			fmt.Println("Untagged: " + ref.Familiar())
		}
	}
	return err
}

type imageCmd struct {
	Prune   imagePruneCmd   `cmd:"" help:"Remove the images that have no name, and of which no container was made."`
	Inspect imageInspectCmd `cmd:"" help:"Show all that is known of images."`
}

type imageInspectCmd struct {
	Names  []string `arg:"" name:"image" help:"Names, ids, or beginnings of ids."`
	Format string   `short:"f" help:"A template of Go's text/template, such as {{.Id}} or {{json .Config}}." placeholder:"TEMPLATE"`

	Store
}

// Run is `box image inspect`.
func (c *imageInspectCmd) Run() error {
	return (&inspectCmd{Names: c.Names, Format: c.Format, Type: "image", Store: c.Store}).Run()
}

type imagePruneCmd struct {
	All   bool `short:"a" help:"Also those that have names."`
	Force bool `short:"f" help:"Do not ask."`

	Store
}

// Run is `box image prune`. It has freed the layers that are gone afterwards: others
// may be those of an image that stays.
func (c *imagePruneCmd) Run() error {
	if err := c.Store.openImages(); err != nil {
		return err
	}
	images, err := c.Store.layout().Images()
	sizes, freed := map[digest.Digest]int64{}, int64(0)
	for _, image := range images {
		if len(image.Names) > 0 && !c.All || c.Store.unusedImage(image) != nil {
			continue
		}
		for _, diffID := range image.Config.RootFS.DiffIDs {
			sizes[diffID] = c.Store.layerSize(diffID)
		}
		err = errors.Join(err, c.Store.untagAndPrint(image, image.Names))
		fmt.Println("Deleted: " + image.ID.String())
	}
	err = errors.Join(err, c.Store.collect())
	for diffID, size := range sizes {
		if !exists(c.Store.layerPath(diffID)) {
			freed += size
		}
	}
	fmt.Println("Total reclaimed space: " + units.FormatSize(freed))
	return err
}

type historyCmd struct {
	Image   string `arg:"" help:"An image: a name, an id, or the beginning of one."`
	NoTrunc bool   `help:"Show the commands in full."`

	Store
}

// Run is `box history`: the latest step first, and how much each has added.
func (c *historyCmd) Run() error {
	image, err := c.Store.layout().Find(c.Image)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "LAYER\tCREATED\tCREATED BY\tSIZE\tCOMMENT")
	var rows []string
	layers := image.Config.RootFS.DiffIDs
	for _, h := range image.Config.History {
		layer, size := "<none>", "0 B"
		if !h.EmptyLayer && len(layers) > 0 {
			layer, size = short(layers[0]), units.FormatSize(c.Store.layerSize(layers[0]))
			layers = layers[1:]
		}
		created := "-"
		if h.Created != nil {
			created = age(*h.Created)
		}
		rows = append(rows, strings.Join([]string{layer, created, c.brief(h.CreatedBy), size, h.Comment}, "\t"))
	}
	for _, diffID := range layers { // of which the history says nothing
		rows = append(rows, strings.Join([]string{short(diffID), "-", "", units.FormatSize(c.Store.layerSize(diffID)), ""}, "\t"))
	}
	slices.Reverse(rows)
	for _, row := range rows {
		fmt.Fprintln(table, row)
	}
	return table.Flush()
}

func (c *historyCmd) brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 45 && !c.NoTrunc {
		return string(runes[:44]) + "…"
	}
	return text
}

// describeImage is an image in the shape of the API.
func (s Store) describeImage(name string) (any, error) {
	image, err := s.layout().Find(name)
	if errors.Is(err, oci.ErrNoImage) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := image.Config
	d := api.Image{ID: image.ID.String(), Created: api.Time(image.Created()), Author: c.Author, Config: describeRunConfig(c.Config), Architecture: c.Architecture, Os: c.OS,
		Variant: c.Variant, Size: s.sizeOf(image), GraphDriver: s.graphDriver(image), RootFS: api.RootFS{Type: "layers"}, Metadata: api.Metadata{LastTagTime: api.Time(time.Time{})}}
	for _, diffID := range c.RootFS.DiffIDs {
		d.RootFS.Layers = append(d.RootFS.Layers, diffID.String())
	}
	if n := len(c.History); n > 0 {
		d.Comment = c.History[n-1].Comment
	}
	d.RepoTags, d.RepoDigests, err = s.namesOf(image)
	return d, err
}

// namesOf returns the names of an image that have a tag, and those by which a registry has it.
func (s Store) namesOf(image *oci.Image) (tags, digests []string, err error) {
	all, err := s.layout().Images()
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
	return tags, digests, err
}

// graphDriver names the directories of an image's layers, the top one as that to write to.
func (s Store) graphDriver(image *oci.Image) api.GraphDriver {
	g := api.GraphDriver{Name: "overlay", Data: map[string]string{}}
	var lower []string
	for i, diffID := range slices.Backward(image.Config.RootFS.DiffIDs) {
		if i == len(image.Config.RootFS.DiffIDs)-1 {
			g.Data["UpperDir"] = s.layerPath(diffID)
		} else {
			lower = append(lower, s.layerPath(diffID))
		}
	}
	if lower != nil {
		g.Data["LowerDir"] = strings.Join(lower, ":")
	}
	return g
}

// describeRunConfig is how to run an image, in the shape of the API.
func describeRunConfig(c oci.RunConfig) api.Config {
	d := api.Config{User: c.User, ExposedPorts: c.ExposedPorts, Env: c.Env, Cmd: c.Cmd, Volumes: c.Volumes, WorkingDir: c.WorkingDir, Entrypoint: c.Entrypoint,
		OnBuild: c.OnBuild, Labels: c.Labels, StopSignal: c.StopSignal, Shell: c.Shell}
	if c.Healthcheck != nil {
		d.Healthcheck = c.Healthcheck
	}
	return d
}

// describeImageConfig adds to a container what it has from its image.
func (c *Container) describeImageConfig(d *api.Config, image *oci.RunConfig) {
	from := describeRunConfig(*image)
	if c.Entrypoint != nil {
		from.Entrypoint = slices.DeleteFunc([]string{*c.Entrypoint}, func(word string) bool { return word == "" })
	}
	d.Entrypoint, d.Cmd = from.Entrypoint, d.Cmd[min(len(from.Entrypoint), len(d.Cmd)):]
	d.ExposedPorts, d.Healthcheck, d.OnBuild, d.Shell, d.StopSignal = maps.Clone(from.ExposedPorts), from.Healthcheck, from.OnBuild, from.Shell, c.StopSignal
	for label, value := range from.Labels {
		d.Labels[label] = value
	}
}

// sizeOf is the bytes of an image's files.
func (s Store) sizeOf(image *oci.Image) (size int64) {
	for _, diffID := range image.Config.RootFS.DiffIDs {
		size += s.layerSize(diffID)
	}
	return size
}

// commitImage is `box commit` to an image.
func (c *commitCmd) commitImage(r *Record) error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	ref, err := registry.ParseNewName(c.Dir)
	if err != nil {
		return err
	}
	image, err := c.Store.commit(r, ref.String(), c)
	if err == nil {
		_, err = fmt.Println(image.ID)
	}
	return err
}

// descendsFrom reports whether a container was made of an image, or of one that was built on it.
func (r *Record) descendsFrom(name string) bool {
	image, err := r.store.layout().Find(name)
	if err != nil {
		return false
	}
	below, err := r.store.dirs(image)
	own := append([]string{r.Run.Rootfs}, r.Run.Layer...)
	return r.ImageID == image.ID || err == nil && len(below) > 0 && len(below) <= len(own) &&
		slices.Equal(own[:len(below)], below)
}
