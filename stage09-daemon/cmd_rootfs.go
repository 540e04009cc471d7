// box rootfs makes a root for containers. A root file system is only files; package tiny
// copies them from the host.

package main

import (
	"fmt"

	"stagebox/stage03-rootfs/tiny"
)

type rootfsCmd struct {
	Dir string `arg:"" help:"Directory to create. It must be empty if it exists."`
}

// Run is `box rootfs`.
func (c *rootfsCmd) Run() error {
	made, err := tiny.Make(c.Dir)
	if err != nil {
		return fmt.Errorf("rootfs %s: %w", c.Dir, err)
	}
	_, err = fmt.Printf("%s: %d programs of this host and %d other files, %.1f MiB; "+
		"try: box run --rootfs %s -it sh\n",
		c.Dir, made.Programs, made.Files, float64(made.Bytes)/(1<<20), c.Dir)
	return err
}
