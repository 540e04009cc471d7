// box ps lists the containers of the store, box rm removes them.

package main

import (
	"cmp"
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/cgroupfs"
	"stagebox/stage03-rootfs/mountspec"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/fault"
	"stagebox/stage04-unionfs/listing"
	"stagebox/stage04-unionfs/state"
)

type psCmd struct {
	listing.Options

	Store Store `embed:""`
}

// Run is `box ps`.
func (c *psCmd) Run() error {
	debug.SetGCPercent(400) // the list is printed before collecting would pay
	source := listing.Source[*Record]{All: c.Store.all, Find: c.Store.find, Describe: (*Record).summary, Filters: psFilters}
	list, err := source.Select(c.Options)
	if err != nil {
		return err
	}
	rows := make([]any, len(list))
	batch.Spread(len(list), func(i int) { rows[i] = c.row(list[i].Item, list[i].Container) })
	return c.Options.Write(os.Stdout, rows, psLine, "Image", "Networks", "Ports")
}

// psFilters are further filters of ps. Of several values for one name, any may match.
var psFilters = map[string]func(r *Record, value string) bool{
	"volume": func(r *Record, name string) bool {
		return slices.ContainsFunc(r.Run.requestedMounts(), func(m mountspec.Spec) bool { return m.Source == name || m.Target == name })
	},
	"ancestor": (*Record).descendsFrom,
	"network":  (*Record).isOn,
}

// psLine is a line without --format.
const psLine = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

// psRow is what a template of ps can show of a container.
type psRow struct {
	listing.Row

	Image string

	Networks, Ports string
}

func (c *psCmd) row(r *Record, summary listing.Container) psRow {
	row := psRow{Row: c.Options.Row(summary)}
	row.Image = cmp.Or(r.Image, "-")
	row.Networks = strings.Join(r.Run.networkNames(), ",")
	row.Ports = strings.Join(r.State.Ports, ", ")
	return row
}

// summary is what a list shows of a container.
func (r *Record) summary() listing.Container {
	s := listing.Container{ID: r.ID, Name: r.Name, Command: r.Run.Command.argv(), State: r.stateWord(), ExitCode: r.State.ExitCode,
		Created: r.Created, StartedAt: r.State.StartedAt, FinishedAt: r.State.FinishedAt, Labels: r.Run.labels(),
		Volumes: len(r.volumes()), Layers: append([]string{r.path("upper")}, r.Run.topFirst()...)}
	for _, m := range r.Run.requestedMounts() {
		s.Mounts = append(s.Mounts, cmp.Or(m.Source, m.Target))
	}
	if found := r.health(); found != nil {
		s.Health = found.Status
	}
	return s
}

// isPaused reports whether the container's cgroup is frozen.
func (r *Record) isPaused() bool {
	g, err := groupOf(r.State.PID)
	if err != nil {
		return false
	}
	dir, _ := g.dir("")
	return cgroupfs.Field(dir+"/cgroup.events", "frozen") == 1
}

// rejectPaused is an error for a paused container, in which nothing would happen.
func (r *Record) rejectPaused() error {
	if r.isPaused() {
		return fault.Conflict.Errorf("container %s is paused: box unpause %s resumes it", r.Name, r.Name)
	}
	return nil
}

type rmCmd struct {
	someContainers

	Force   bool `short:"f" help:"Kill a running container first; succeed if there is no such container."`
	Volumes bool `short:"v" help:"Remove its anonymous volumes too."`
}

// Run is `box rm`.
func (c *rmCmd) Run() error {
	return batch.SideBySide(c.Names, c.remove)
}

func (c *rmCmd) remove(name string) error {
	if c.Force {
		r, err := c.Store.find(name)
		if errors.Is(err, errNoContainer) {
			return cmp.Or(c.Store.ids().Drop(name), batch.Skip(err))
		}
		var unreadable damaged
		if errors.As(err, &unreadable) {
			return c.Store.discard(unreadable.id)
		}
		if err == nil {
			err = state.ClearLock(r.livePath())
		}
		if err != nil {
			return err
		}
		if r.isLive() {
			if err := r.kill(); err != nil {
				return err
			}
			if _, err := os.Stat(r.path()); errors.Is(err, unix.ENOENT) {
				return nil // with --rm
			}
		}
	}
	r, err := c.Store.take(name)
	if err != nil {
		return err
	}
	if c.Volumes && len(r.Volumes) > 0 { // written down, so that it is done even if box is killed
		r.Run.Rm = true
		if err := r.write(); err != nil {
			return err
		}
	}
	return errors.Join(r.remove(), c.Store.ids().Drop(r.Name))
}
