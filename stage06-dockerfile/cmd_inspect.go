// box inspect shows all that is known of objects that have names (see objects), in the shapes of the
// Docker Engine API that docker inspect prints, or a container's layers as a picture.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/batch"
	"stagebox/stage04-unionfs/format"
	"stagebox/stage04-unionfs/render"
	"stagebox/stage04-unionfs/volume"
	"stagebox/stage05-images/imageview"
)

type inspectCmd struct {
	Names   []string `arg:"" name:"name" help:"Containers and images, by name, id or id prefix; volumes, by name."`
	Format  string   `short:"f" help:"Format with a Go template, such as {{.State.Pid}} or {{json .Mounts}}." placeholder:"TEMPLATE"`
	Picture string   `help:"Draw the layers of a container instead, as text or svg." enum:",text,svg" default:"" placeholder:"text|svg"`
	Type    string   `help:"Inspect only objects of this kind: container, image or volume." enum:",container,image,volume" default:"" placeholder:"KIND"`

	Store Store `embed:""`
}

// Run is `box inspect`.
func (c *inspectCmd) Run() error {
	if c.Picture != "" {
		return batch.Each(c.Names, func(name string) error {
			r, err := c.Store.find(name)
			if err != nil {
				return err
			}
			return r.draw(c.Picture)
		})
	}
	find := func(name string) (any, error) { return c.Store.object(name, c.Type) }
	return format.Named(os.Stdout, c.Names, c.Format, find)
}

// objects are what a name may mean, in the order of docker inspect. For a name that nothing has,
// find returns nil.
var objects = []struct {
	kind string
	find func(s Store, name string) (any, error)
}{{"container", Store.describeContainer}, {"image", Store.describeImage}, {"volume", Store.describeVolume}}

// object finds what a name means and puts it in the shape of the Docker Engine API.
func (s Store) object(name, kind string) (any, error) {
	for _, o := range objects {
		if kind != "" && kind != o.kind {
			continue
		}
		if object, err := o.find(s, name); object != nil || err != nil {
			return object, err
		}
	}
	return nil, fmt.Errorf("no such %s: %s", cmp.Or(kind, "object"), name)
}

func (s Store) describeContainer(name string) (any, error) {
	r, err := s.find(name)
	if errors.Is(err, errNoContainer) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.describe()
}

func (s Store) describeVolume(name string) (any, error) {
	v, err := volume.Read(s.path("volumes"), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return v, err
}

// describe is a container in the shape of the API.
func (r *Record) describe() (*api.Container, error) {
	argv, o := r.Run.Command.argv(), r.overlay()
	d := &api.Container{ID: r.ID, Name: "/" + r.Name, Created: api.Time(r.Created), Path: argv[0], Args: argv[1:], State: r.describeState(),
		LogPath: r.path("log"), Driver: "overlay", Platform: "linux", Mounts: r.mounts(), Config: r.describeConfig(), HostConfig: r.Run.hostConfig(),
		GraphDriver: api.GraphDriver{Name: "overlay", Data: map[string]string{"LowerDir": strings.Join(o.lowers, ":"),
			"UpperDir": o.upper, "WorkDir": o.work, "MergedDir": o.merged}}}
	d.NetworkSettings = api.NetworkSettings{Ports: map[string][]api.PortBinding{}, Networks: map[string]*api.Endpoint{d.HostConfig.NetworkMode: {}}}
	d.Image, d.Config.Image = r.ImageID.String(), r.Image
	d.RestartCount = r.State.RestartCount
	anonymous := func(spec string) bool { return slices.Contains(r.Volumes, strings.Split(spec, ":")[0]) }
	d.HostConfig.Binds = slices.DeleteFunc(slices.Clone(r.Run.Volume), anonymous)
	return d, nil
}

func (r *Record) describeState() api.State {
	running := r.isLive()
	return api.State{Status: r.stateWord(), Running: running, Restarting: running && !r.isRunning(), Paused: r.isRunning() && r.isPaused(), OOMKilled: r.State.OOMKilled, Pid: r.State.PID,
		ExitCode: r.State.ExitCode, Error: r.State.Error, StartedAt: api.Time(r.State.StartedAt), FinishedAt: api.Time(r.State.FinishedAt),
		Health: r.health()}
}

func (r *Record) describeConfig() api.Config {
	c := r.Run
	d := api.Config{Hostname: c.Hostname, Domainname: c.Domainname, User: c.User, AttachStdin: c.Interactive && !c.Detach, AttachStdout: !c.Detach, AttachStderr: !c.Detach,
		Tty: c.TTY, OpenStdin: c.Interactive, StdinOnce: c.Interactive && !c.Detach, Env: api.Env(c.Env), Cmd: c.Command.argv(), WorkingDir: c.Workdir,
		Labels: c.labels(), StopTimeout: c.StopTimeout}
	for _, m := range r.mounts() {
		if slices.Contains(r.Volumes, m.Name) {
			d.Volumes = api.Set(d.Volumes, m.Destination)
		}
	}
	if r.ImageConfig != nil {
		imageview.Inherit(&d, *r.ImageConfig, c.Entrypoint, c.StopSignal)
	}
	if check := c.healthcheck(); check != nil {
		d.Healthcheck = check
	}
	return d
}

// hostConfig is what the flags say about the host's side.
func (c *Container) hostConfig() api.HostConfig {
	h := api.NewHostConfig()
	h.AutoRemove, h.Privileged, h.ReadonlyRootfs, h.SecurityOpt = c.Rm, c.Privileged, c.ReadOnly, c.SecurityOpt
	h.GroupAdd, h.VolumesFrom, h.ShmSize = c.GroupAdd, c.VolumesFrom, cmp.Or(int64(c.ShmSize), h.ShmSize)
	h.RestartPolicy.Name, h.RestartPolicy.MaximumRetryCount = c.Restart.Split()
	h.CapAdd, h.CapDrop = api.Capabilities(c.CapAdd), api.Capabilities(c.CapDrop)
	h.Tmpfs, h.Sysctls = api.Pairs(c.Tmpfs, ":"), api.Pairs(c.Sysctl, "=")
	if c.Init {
		h.Init = &c.Init
	}
	if c.OOMScoreAdj != nil {
		h.OomScoreAdj = int(*c.OOMScoreAdj)
	}
	if !c.Privileged {
		h.MaskedPaths = masked
		for _, name := range readOnly {
			h.ReadonlyPaths = append(h.ReadonlyPaths, "/proc/"+name)
		}
	}
	h.SetShared(c.Share)
	h.PidMode, h.IpcMode = cmp.Or(c.PID, h.PidMode), cmp.Or(c.IPC, h.IpcMode)
	h.Mounts = api.Mounts((&Files{Mount: c.Mount}).requestedMounts())
	h.SetLimits(c.Limits.Limits)
	h.Annotations, h.DeviceCgroupRules = api.Pairs(c.Annotation, "="), c.DeviceCgroupRule
	h.CgroupParent, h.Ulimits, h.Devices = c.CgroupParent, api.Ulimits(c.Ulimit), api.Devices(c.Device)
	return h
}

// stateWord is Docker's word for the state.
func (r *Record) stateWord() string {
	if r.isRunning() && r.isPaused() {
		return "paused"
	}
	return r.State.Status
}

// mounts are those of -v and --mount; --tmpfs is in HostConfig only.
func (r *Record) mounts() []api.MountPoint {
	files := Files{Volume: r.Run.Volume, Mount: r.Run.Mount}
	return api.MountPoints(files.requestedMounts(), r.store.path("volumes"))
}

// draw prints the layers of a container as a picture. The lowest one has the mount points.
func (r *Record) draw(form string) error {
	o := r.overlay()
	list, err := o.changes()
	if err != nil {
		return err
	}
	layers := o.lowers[:len(o.lowers)-1]
	for i, dir := range layers {
		layers[i] = r.store.layers().Brief(dir)
	}
	_, err = fmt.Print(render.Container(r.Name, r.ID, list, layers).In(form))
	return err
}
