// Flags that say what a container's root is made of, what is kept of it, and where: the store.
// What a user typed is checked here, and made independent of where it was typed.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Layers are what a container's root is made of, besides --rootfs, which is the lowest.
type Layers struct {
	Layer []string `help:"A directory to lie on --rootfs, or on nothing, and be read only; the last one lies on top." placeholder:"DIR" sep:"none" group:"Files:"`
}

// Store is the directory that box keeps its state in.
type Store struct {
	Root string `help:"Where box keeps what lasts: containers and volumes. Usual is /var/lib/stagebox for root, ~/.local/share/stagebox for others." env:"BOX_ROOT" placeholder:"DIR" group:"Store:"`
}

func (s Store) dir() string {
	root := s.Root
	if root == "" && os.Geteuid() == 0 {
		root = "/var/lib/stagebox"
	}
	if root == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			data = filepath.Join(os.Getenv("HOME"), ".local/share")
		}
		root = filepath.Join(data, "stagebox")
	}
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}

// StoreOptions says what stays of a container, and for how long.
type StoreOptions struct {
	Name   string `help:"A name for it; else it gets two words." group:"Store:"`
	Detach bool   `short:"d" help:"Leave it running, and print its id." group:"Store:"`
	Rm     bool   `help:"Remove it when it has ended, with the volumes that have no name." group:"Store:"`

	record *Record
}

// rejectStoreFlags names a flag that is about what stays.
func (c *Container) rejectStoreFlags() error {
	for flag, given := range map[string]bool{"--name": c.Name != "", "--detach": c.Detach} {
		if given {
			return fmt.Errorf("%s is for a container with a root of its own: add --rootfs DIR; box rootfs DIR makes one", flag)
		}
	}
	return nil
}

// settle makes what the record shall hold independent of where and in what environment the
// command was given.
func (c *Container) resolve() error {
	for _, file := range c.EnvFile {
		lines, err := readEnvFile(file)
		if err != nil {
			return fmt.Errorf("--env-file %s: %w", file, err)
		}
		c.Env = append(setAll(nil, lines), c.Env...)
	}
	for i, variable := range c.Env {
		if name, _, given := strings.Cut(variable, "="); !given {
			if value, known := os.LookupEnv(name); known && name != "" {
				c.Env[i] = name + "=" + value
			}
		}
	}
	c.EnvFile = nil
	for i, option := range c.SecurityOpt {
		if file, is := strings.CutPrefix(option, "seccomp="); is && file != "unconfined" {
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			c.SecurityOpt[i] = "seccomp=" + path
		}
	}
	return nil
}
