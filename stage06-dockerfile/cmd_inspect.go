// box inspect shows all that is known of a container, in the form of docker inspect, or as
// a picture of its layers.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
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
	return printObjects(list, c.Format)
}

// printObjects prints objects as JSON, or each through a template.
func printObjects(list []map[string]any, format string) error {
	if format == "" {
		out := json.NewEncoder(os.Stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "    ")
		return out.Encode(list)
	}
	functions := template.FuncMap{"json": toJSON, "join": strings.Join, "upper": strings.ToUpper, "lower": strings.ToLower}
	t, err := template.New("--format").Funcs(functions).Option("missingkey=error").Parse(format)
	if err != nil {
		return fmt.Errorf("--format %s: %w", format, err)
	}
	for _, object := range list {
		if err := t.Execute(os.Stdout, object); err != nil {
			return fmt.Errorf("--format %s: %w; without --format all that there is, is shown", format, err)
		}
		fmt.Println()
	}
	return nil
}

func toJSON(value any) (string, error) {
	data, err := json.Marshal(value)
	return string(data), err
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

// shelf is a layer in a picture.
type shelf struct{ title, text string }

// shelves are the layers of a container, the top one first, with what is in them now.
func (r *Record) shelves() ([]shelf, error) {
	o := r.overlay()
	list, err := o.changes()
	if err != nil {
		return nil, err
	}
	counts := map[byte]int{}
	for _, change := range list {
		counts[change.kind]++
	}
	all := []shelf{{r.Name + ", to write to", fmt.Sprintf("%s: %d added, %d changed, %d deleted", filepath.Join("containers", r.ID[:12]+"…", "upper"), counts['A'], counts['C'], counts['D'])}}
	for i, dir := range o.lowers[:len(o.lowers)-1] {
		all = append(all, shelf{fmt.Sprintf("layer %d, to read only", len(o.lowers)-1-i), r.store.brief(dir)})
	}
	return append(all, shelf{"mount points that every container has", "mountpoints"}), nil
}

// draw prints the picture.
func (r *Record) draw(form string) error {
	all, err := r.shelves()
	if err != nil {
		return err
	}
	if form == "svg" {
		_, err = fmt.Print(svgOf(r, all))
		return err
	}
	_, err = fmt.Print(textOf(r, all))
	return err
}

// textOf draws the shelves one on the other, all as wide as the widest.
func textOf(r *Record, all []shelf) string {
	width := 0
	for _, s := range all {
		width = max(width, len([]rune(s.title))+2, len([]rune(s.text)))
	}
	line := func(n int) string { return strings.Repeat("─", n) }
	var b strings.Builder
	fmt.Fprintf(&b, "what %s sees: all of these as one, an upper file before a lower one\n", r.Name)
	edge := "┌"
	for _, s := range all {
		fmt.Fprintf(&b, "%s─ %s %s\n│ %s%s │\n", edge, s.title, line(width-len([]rune(s.title))-1)+map[string]string{"┌": "┐", "├": "┤"}[edge],
			s.text, strings.Repeat(" ", width-len([]rune(s.text))))
		edge = "├"
	}
	return b.String() + "└" + line(width+2) + "┘\n"
}

// svgOf draws the shelves one on the other; the colours fit a light and a dark page.
func svgOf(r *Record, all []shelf) string {
	const width, height, gap = 760, 52, 8
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="sans-serif">`+"\n", width, len(all)*(height+gap)+40)
	fmt.Fprintf(&b, "<title>The layers of %s at %s</title>\n", html.EscapeString(r.Name), time.Now().Format(time.DateTime))
	fmt.Fprintf(&b, `<text x="8" y="24" font-size="15" fill="#888">what %s sees: all of these as one</text>`+"\n", html.EscapeString(r.Name))
	for i, s := range all {
		y, colour := 36+i*(height+gap), "#4a90d9"
		if i == 0 {
			colour = "#d9822b"
		}
		fmt.Fprintf(&b, `<rect x="4" y="%d" width="%d" height="%d" rx="6" fill="%s" fill-opacity="0.15" stroke="%s"/>`+"\n", y, width-8, height, colour, colour)
		fmt.Fprintf(&b, `<text x="16" y="%d" font-size="15" fill="%s">%s</text>`+"\n", y+21, colour, html.EscapeString(s.title))
		fmt.Fprintf(&b, `<text x="16" y="%d" font-size="12" font-family="monospace" fill="#888">%s</text>`+"\n", y+41, html.EscapeString(s.text))
	}
	return b.String() + "</svg>\n"
}
