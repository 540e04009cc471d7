// The commands for the images of the store: images, tag, rmi, image prune and history; commit to an
// image, and an image as inspect shows it.

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/layerstore"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/registry"
)

type imagesCmd struct {
	imageview.Options

	Store Store `embed:""`
}

// Run is `box images`.
func (c *imagesCmd) Run() error {
	debug.SetGCPercent(400) // the list is printed before collecting would pay
	all, err := c.Store.layout().Images()
	if err != nil {
		return err
	}
	return c.Options.Write(os.Stdout, all, c.Store.layout().Find, c.Store.layers().Size)
}

type tagCmd struct {
	Image string `arg:"" help:"An image, by name, id or id prefix."`
	Name  string `arg:"" help:"The additional name."`

	Store Store `embed:""`
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
	Names []string `arg:"" name:"image" help:"Images, by name, id or id prefix."`
	Force bool     `short:"f" help:"Remove all names of an image given by id, and images that containers use."`

	Store Store `embed:""`
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
	r, err := c.Store.layout().Removal(text, c.Force)
	if err != nil {
		if damaged, err := c.Store.layout().RemoveDamaged(text); damaged || err != nil {
			return err
		}
	}
	if errors.Is(err, oci.ErrNoImage) && c.Force {
		return batch.Skip(err)
	}
	if err == nil && r.Last && !c.Force {
		err = c.Store.unusedImage(r.Image)
	}
	if err == nil {
		err = c.Store.untagAndPrint(r.Image, r.Names)
	}
	if err != nil || r.Twin || !r.Last {
		return err
	}
	_, err = fmt.Println("Deleted: " + r.Image.ID.String())
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
	Prune   imagePruneCmd   `cmd:"" help:"Remove images that have no name and that no container uses."`
	Inspect imageInspectCmd `cmd:"" help:"Show details of images."`
}

type imageInspectCmd struct {
	Names  []string `arg:"" name:"image" help:"Images, by name, id or id prefix."`
	Format string   `short:"f" help:"Format with a Go template, such as {{.Id}} or {{json .Config}}." placeholder:"TEMPLATE"`

	Store Store `embed:""`
}

// Run is `box image inspect`.
func (c *imageInspectCmd) Run() error {
	return (&inspectCmd{Names: c.Names, Format: c.Format, Type: "image", Store: c.Store}).Run()
}

type imagePruneCmd struct {
	All   bool `short:"a" help:"Remove unused images that have names too."`
	Force bool `short:"f" help:"Do not ask for confirmation."`

	Store Store `embed:""`
}

// Run is `box image prune`.
func (c *imagePruneCmd) Run() error {
	kind := "dangling images"
	if c.All {
		kind = "images without at least one container associated to them"
	}
	if !c.Force && !batch.Confirm("WARNING! This will remove all "+kind+".") {
		return nil
	}
	if err := c.Store.openImages(); err != nil {
		return err
	}
	images, err := c.Store.layout().Images()
	freed := layerstore.Freed{Dir: c.Store.layers()}
	for _, image := range images {
		if len(image.Names) > 0 && !c.All || c.Store.unusedImage(image) != nil {
			continue
		}
		if failed := c.Store.untagAndPrint(image, image.Names); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		freed.Note(image)
		fmt.Println("Deleted: " + image.ID.String())
	}
	err = errors.Join(err, c.Store.collect())
	fmt.Println("Total reclaimed space: " + units.FormatSize(freed.Bytes()))
	return err
}

type historyCmd struct {
	Image string `arg:"" help:"An image, by name, id or id prefix."`

	imageview.HistoryOptions

	Store Store `embed:""`
}

// Run is `box history`: the latest step first, and how much each has added.
func (c *historyCmd) Run() error {
	image, err := c.Store.layout().Find(c.Image)
	if err != nil {
		return err
	}
	return c.HistoryOptions.Write(os.Stdout, image, c.Store.layers().Size)
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
	all, err := s.layout().Images()
	return imageview.Describe(image, all, s.layers().Size, s.layers().Path), err
}

// commitImage is `box commit` to an image.
func (c *commitCmd) commitImage(r *Record) error {
	done, err := c.Store.using()
	if err != nil {
		return err
	}
	defer done()
	name := c.Dir
	if name != "" {
		ref, err := registry.ParseNewName(name)
		if err != nil {
			return err
		}
		name = ref.String()
	}
	image, err := c.Store.commit(r, name, c)
	if err == nil {
		_, err = fmt.Println(image.ID)
	} else if errors.Is(err, oci.ErrNoImage) {
		err = fmt.Errorf("commit: the image that %s was made from has been removed; "+
			"box export %[1]s | box import - NAME makes one of all its files", r.Name)
	}
	return err
}

// descendsFrom reports whether a container was made of an image, or of one that was built on it.
func (r *Record) descendsFrom(name string) bool {
	image, err := r.store.layout().Find(name)
	if err != nil {
		return false
	}
	below, err := r.store.layers().Stack(image)
	own := append([]string{r.Run.Rootfs}, r.Run.Layer...)
	return r.ImageID == image.ID || err == nil && len(below) > 0 && len(below) <= len(own) &&
		slices.Equal(own[:len(below)], below)
}

// findLayers finds the layers of a container's image where the store is now: it may have been moved
// or copied since the container was made.
func (r *Record) findLayers() {
	c, layers := r.Run, r.store.path("layers")
	if r.ImageID == "" || filepath.Dir(c.Rootfs) == layers {
		return
	}
	c.Rootfs = filepath.Join(layers, filepath.Base(c.Rootfs))
	for i, dir := range c.Layer {
		c.Layer[i] = filepath.Join(layers, filepath.Base(dir))
	}
}
