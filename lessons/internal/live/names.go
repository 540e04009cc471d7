package live

import (
	"os"
	"path/filepath"
	"regexp"
)

// longID is how runtimes call a control group after a container.
var longID = regexp.MustCompile(`[0-9a-f]{64}`)

// named is what people call a container: for box the link in its store, which is beside the
// directory that the container writes to; for others the beginning of the id in the path of the
// control group, as `docker ps` prints it. It is "" where neither is there.
func named(root Root, group string) string {
	for _, layer := range root.Layers {
		dir, last := filepath.Split(layer.Path)
		if dir = filepath.Clean(dir); !layer.Writable || last != "upper" {
			continue
		}
		links, err := os.ReadDir(filepath.Dir(dir))
		if err != nil {
			continue
		}
		for _, link := range links {
			to, err := os.Readlink(filepath.Join(filepath.Dir(dir), link.Name()))
			if err == nil && to == filepath.Base(dir) {
				return link.Name()
			}
		}
	}
	if id := longID.FindString(group); id != "" {
		return id[:12]
	}
	return ""
}
