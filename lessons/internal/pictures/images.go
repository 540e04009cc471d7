package pictures

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// imagesScript makes the two images of the lesson, the second on top of the first.
const imagesScript = `box run --name change tiny sh -c 'echo hello >/root/greeting; rm /bin/wc'
box commit change greeting; box rm change`

// descriptor points to a blob, as OCI's image format has it.
type descriptor struct {
	Digest      string
	Annotations map[string]string
}

// image is what a tag leads to.
type image struct {
	tag      string
	manifest struct {
		Config descriptor
		Layers []descriptor
	}
	config struct {
		Config struct{ Cmd []string }
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
}

// drawImages draws how tags lead to files, from the store of the stage.
func drawImages(b *box) (*drawing, error) {
	if _, err := b.run(0, imagesScript); err != nil {
		return nil, err
	}
	layout := filepath.Join(b.dir, "store", "images")
	all, err := images(layout)
	if err != nil {
		return nil, err
	}
	if len(all) != 2 || len(all[0].manifest.Layers) != 1 || len(all[1].manifest.Layers) != 2 || all[0].manifest.Layers[0].Digest != all[1].manifest.Layers[0].Digest {
		return nil, fmt.Errorf("two images that share their first layer are expected in %s", layout)
	}
	files, err := layerFiles(layout, all[1].manifest.Layers[1])
	if err != nil {
		return nil, err
	}
	return imageGraph(all, files), nil
}

// images reads the layout from its index on, sorted by the number of layers.
func images(layout string) ([]image, error) {
	var index struct{ Manifests []descriptor }
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, err
	}
	var all []image
	for _, m := range index.Manifests {
		i := image{tag: m.Annotations["org.opencontainers.image.ref.name"]}
		if err := read(layout, m, &i.manifest); err != nil {
			return nil, err
		}
		if err := read(layout, i.manifest.Config, &i.config); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b image) int { return len(a.manifest.Layers) - len(b.manifest.Layers) })
	return all, nil
}

// read reads the JSON that a descriptor points to, if the bytes have the digest that it says.
func read(layout string, d descriptor, into any) error {
	text, err := os.ReadFile(blob(layout, d))
	if err != nil {
		return err
	}
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(text)); sum != d.Digest {
		return fmt.Errorf("%s holds bytes whose digest is %s", d.Digest, sum)
	}
	return json.Unmarshal(text, into)
}

// blob is the path of what a descriptor points to.
func blob(layout string, d descriptor) string {
	return filepath.Join(layout, "blobs", strings.Replace(d.Digest, ":", "/", 1))
}

// layerFiles lists the files of a layer, without directories.
func layerFiles(layout string, d descriptor) ([]string, error) {
	out, err := exec.Command("tar", "tf", blob(layout, d)).Output()
	if err != nil {
		return nil, fmt.Errorf("tar tf %s: %w", blob(layout, d), err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool { return strings.HasSuffix(name, "/") }), nil
}

// The two columns of the graph, and the heights of its rows.
const (
	leftX, rightX, boxWidth               = 20, 260, 200
	indexY, manifestY, configY, filesY    = 60, 166, 272, 400
	manifestHeight, configHeight, filesHi = 58, 80, 80
)

// imageGraph draws an image in each column; files are those of the second one's own layer.
func imageGraph(all []image, files []string) *drawing {
	d := newDrawing("From a name to the last file",
		"A graph. The index has two tags. Each leads to a manifest, and a manifest to a config and to layers. The manifest of tiny has one layer; that of greeting has the same one, and one of its own.")
	d.rect(leftX, indexY, rightX+boxWidth-leftX, 60, "amber")
	d.text(leftX+12, indexY+23, "bold amber", "index.json")
	for i, image := range all {
		d.image(image, []int{leftX, rightX}[i], i)
	}
	d.rect(leftX, filesY, boxWidth, filesHi, "green")
	d.text(leftX+12, filesY+23, "bold green", "layer")
	d.text(leftX+12, filesY+46, "", "all files of tiny")
	d.rect(rightX, filesY, boxWidth, filesHi, "green")
	d.text(rightX+12, filesY+23, "bold green", "layer")
	for i, name := range files {
		d.text(rightX+12, filesY+46+20*i, "mono", name)
	}
	d.paragraph(margin, filesY+filesHi+30, "soft", "Each arrow is a digest, the SHA-256 of what it points to. Only a tag can be pointed elsewhere.", 50)
	return d
}

// image draws the column of one, down to its config, and its ways to the layers.
func (d *drawing) image(i image, x, column int) {
	middle := x + boxWidth/2
	d.text(x+12, indexY+46, "mono", i.tag[strings.LastIndex(i.tag, "/")+1:])
	d.arrow("amber", middle, indexY+60, middle, manifestY-4)
	d.rect(x, manifestY, boxWidth, manifestHeight, "blue")
	d.text(x+12, manifestY+23, "bold blue", "manifest")
	d.text(x+12, manifestY+45, "soft", count(len(i.manifest.Layers), "layer")+", 1 config")
	d.arrow("blue", middle, manifestY+manifestHeight, middle, configY-4)
	d.rect(x, configY, boxWidth, configHeight, "blue")
	d.text(x+12, configY+23, "bold blue", "config")
	command := strings.Join(i.config.Config.Cmd, " ")
	if len(command) > 20 { // the box is no wider
		command = command[:19] + "…"
	}
	d.text(x+12, configY+45, "mono", command)
	d.text(x+12, configY+67, "soft", count(len(i.config.RootFS.DiffIDs), "diff id"))
	if column == 0 {
		d.arrow("blue", leftX+boxWidth, manifestY+29, 233, manifestY+29, 233, filesY+26, leftX+boxWidth+4, filesY+26)
		return
	}
	d.arrow("blue", rightX, manifestY+29, 246, manifestY+29, 246, filesY+54, leftX+boxWidth+4, filesY+54)
	d.arrow("blue", 246, filesY+26, rightX-4, filesY+26)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprint(n, " ", noun)
}
