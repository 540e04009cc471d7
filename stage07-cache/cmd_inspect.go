// box inspect shows all that is known of a container, in the form of docker inspect, or as
// a picture of its layers.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/render"
)

type inspectCmd struct {
	Names   []string `arg:"" name:"name" help:"Names, ids, or beginnings of ids, of containers and images."`
	Format  string   `short:"f" help:"A template of Go's text/template, such as {{.State.Pid}}." placeholder:"TEMPLATE"`
	Picture string   `help:"Draw the layers instead: text, or svg." enum:",text,svg" default:"" placeholder:"text|svg"`

	Store
}

// Run is `box inspect`.
func (c *inspectCmd) Run() error {
	var list []map[string]any
	for _, name := range c.Names {
		r, err := c.Store.find(name)
		if errors.Is(err, errNoContainer) && c.Picture == "" {
			image, err := c.Store.image(name)
			if err != nil {
				return fmt.Errorf("there is neither a container nor an image %q: box ps -a and box images list them", name)
			}
			list = append(list, c.Store.describeImage(image))
			continue
		}
		if err != nil {
			return err
		}
		if c.Picture != "" {
			if err := r.draw(c.Picture); err != nil {
				return err
			}
			continue
		}
		described, err := r.describe()
		if err != nil {
			return err
		}
		list = append(list, described)
	}
	if c.Picture != "" {
		return nil
	}
	return format.Objects(os.Stdout, list, c.Format)
}

// describe is a container in the form of docker inspect.
func (r *Record) describe() (map[string]any, error) {
	argv, o := r.Run.Command.argv(), r.overlay()
	env, err := r.Run.environment("/root")
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"Id": r.ID, "Name": "/" + r.Name, "Created": r.Created, "Path": argv[0], "Args": argv[1:],
		"State": map[string]any{"Status": r.stateWord(), "Running": r.isRunning(), "Paused": r.isRunning() && r.isPaused(), "Pid": r.State.PID,
			"ExitCode": r.State.ExitCode, "StartedAt": r.State.StartedAt, "FinishedAt": r.State.FinishedAt},
		"GraphDriver": map[string]any{"Name": "overlay", "Data": map[string]any{"LowerDir": strings.Join(o.lowers, ":"),
			"UpperDir": o.upper, "WorkDir": o.work, "MergedDir": o.merged}},
		"Mounts": r.mounts(),
		"Config": map[string]any{"Hostname": r.Run.Hostname, "User": r.Run.User, "Env": env, "Cmd": argv, "WorkingDir": r.Run.Workdir, "Tty": r.Run.TTY},
		"HostConfig": map[string]any{"AutoRemove": r.Run.Rm, "Privileged": r.Run.Privileged, "ReadonlyRootfs": r.Run.ReadOnly,
			"CapAdd": r.Run.CapAdd, "CapDrop": r.Run.CapDrop, "SecurityOpt": r.Run.SecurityOpt, "Init": r.Run.Init},
		"LogPath": r.path("log"),
		"Image":   r.ImageID,
	}, nil
}

// stateWord is Docker's word for the state.
func (r *Record) stateWord() string {
	if r.isRunning() && r.isPaused() {
		return "paused"
	}
	return r.State.Status
}

func (r *Record) mounts() []map[string]any {
	list := []map[string]any{}
	for _, b := range r.Run.requestedMounts() {
		mount := map[string]any{"Type": "bind", "Source": b.source, "Destination": b.target, "RW": !b.readOnly}
		switch {
		case b.isVolume:
			mount["Type"], mount["Name"], mount["Source"] = "volume", b.source, r.store.path("volumes", b.source, "_data")
		case b.source == "":
			mount["Type"] = "tmpfs"
		}
		list = append(list, mount)
	}
	return list
}

// picture is the layers of a container, the top one first, with what is in its own now.
func (r *Record) picture() (render.Stack, error) {
	o := r.overlay()
	list, err := o.changes()
	if err != nil {
		return render.Stack{}, err
	}
	counts := map[byte]int{}
	for _, change := range list {
		counts[change.kind]++
	}
	own := fmt.Sprintf("%s: %d added, %d changed, %d deleted", filepath.Join("containers", r.ID[:12]+"…", "upper"), counts['A'], counts['C'], counts['D'])
	all := []render.Layer{{Title: r.Name + ", to write to", Text: own}}
	lowest := len(o.lowers) - 1
	for i, dir := range o.lowers[:lowest] {
		all = append(all, render.Layer{Title: fmt.Sprintf("layer %d, to read only", lowest-i), Text: r.store.brief(dir)})
	}
	all = append(all, render.Layer{Title: "mount points that every container has", Text: "mountpoints"})
	return render.Stack{Name: r.Name, Layers: all}, nil
}

// draw prints the picture.
func (r *Record) draw(form string) error {
	p, err := r.picture()
	if err != nil {
		return err
	}
	text := p.Text
	if form == "svg" {
		text = p.SVG
	}
	_, err = fmt.Print(text())
	return err
}
