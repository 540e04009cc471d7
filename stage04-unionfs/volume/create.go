package volume

import (
	"cmp"
	"fmt"

	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/labels"
)

// ErrInUse means that a container has a volume; the container's name follows.
var ErrInUse = fault.Conflict.New("it belongs to container")

// CreateOptions are the flags of volume create.
type CreateOptions struct {
	Name   string   `arg:"" name:"new-volume" optional:"" help:"Name of the volume (default: a random one)."`
	Label  []string `help:"Set a label on the volume." placeholder:"KEY[=VALUE]" sep:"none"`
	Driver string   `short:"d" help:"Volume driver; only local is supported." default:"local" placeholder:"NAME"`
}

// Resolve checks the flags, and returns the name and the labels.
func (o CreateOptions) Resolve() (name string, byKey map[string]string, err error) {
	if o.Driver != "local" {
		return "", nil, fmt.Errorf("--driver %s: local is the only one", o.Driver)
	}
	list, err := labels.Read(nil, o.Label)
	if err != nil {
		return "", nil, err
	}
	name = cmp.Or(o.Name, ids.New())
	if !ids.IsName(name) {
		return "", nil, fault.Invalid.Errorf("volume create %q: a name is made of letters, digits and _ . -, and begins with a letter or digit", name)
	}
	return name, labels.Map(list), nil
}
