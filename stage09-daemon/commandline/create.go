package commandline

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/oci"
	"stagebox/stage08-network/ipam"
	"stagebox/stage09-daemon/rest"
)

// Create is the body of POST /containers/create. A client sends all fields: zero means the default.
type Create struct {
	Hostname, Domainname, User, WorkingDir, Image, StopSignal, MacAddress string

	Tty, OpenStdin, NetworkDisabled bool

	Env         []string
	Cmd         oci.Argv
	Entrypoint  oci.Argv
	Labels      map[string]string
	StopTimeout *int
	Volumes     map[string]struct{}
	Healthcheck *oci.Healthcheck

	HostConfig       HostConfig
	NetworkingConfig struct {
		EndpointsConfig map[string]*Endpoint
	}
	ExposedPorts map[string]struct{}

	Platform string `json:"-"` // a parameter of the request
}

// Endpoint is what a container wants of a network.
type Endpoint struct {
	Aliases    []string
	Links      []string
	IPAMConfig *struct{ IPv4Address, IPv6Address string }
	MacAddress string
}

// HostConfig is what the container wants of the host.
type HostConfig struct {
	Resources

	Binds, CapAdd, CapDrop, GroupAdd, DNS, DNSOptions, DNSSearch, ExtraHosts, SecurityOpt, VolumesFrom, Links []string

	AutoRemove, Privileged, ReadonlyRootfs, PublishAllPorts bool

	NetworkMode, PidMode, IpcMode, UTSMode, UsernsMode, CgroupnsMode, Runtime, VolumeDriver, Isolation string

	ShmSize       int64
	OomScoreAdj   int
	Init          *bool
	Tmpfs         map[string]string
	Sysctls       map[string]string
	StorageOpt    map[string]string
	RestartPolicy Policy
	PortBindings  map[string][]api.PortBinding
	Mounts        []Mount
	LogConfig     struct {
		Type   string
		Config map[string]string
	}
	MaskedPaths, ReadonlyPaths *[]string
	Annotations                map[string]string
}

// Resources are limits.
type Resources struct {
	Memory, MemorySwap, MemoryReservation, NanoCpus, CpuShares, CpuPeriod, CpuQuota int64

	CpusetCpus, CpusetMems, CgroupParent string

	PidsLimit         *int64
	OomKillDisable    *bool
	BlkioWeight       int64
	BlkioWeightDevice []api.ThrottleDevice
	DeviceRequests    []any

	BlkioDeviceReadBps, BlkioDeviceWriteBps, BlkioDeviceReadIOps, BlkioDeviceWriteIOps []api.ThrottleDevice

	Devices           []api.Device
	DeviceCgroupRules []string
	Ulimits           []api.Ulimit

	CpuRealtimePeriod, CpuRealtimeRuntime, KernelMemory, KernelMemoryTCP int64

	MemorySwappiness *int64 // -1 for the kernel's
}

// Words is the line of box create.
func (c *Create) Words(name string) ([]string, error) {
	if err := CheckImage(c.Image); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	l := Words{"create", "--pull=never"}
	l.Add("--platform", c.Platform)
	l.Add("--name", name)
	l.Add("--hostname", c.Hostname)
	l.On("--hostname-id", c.Hostname == "" && c.ownsHostname())
	l.Add("--domainname", c.Domainname)
	l.Add("--user", c.User)
	if c.WorkingDir != "" {
		l.Add("--workdir", path.Clean(c.WorkingDir))
	}
	l.Add("--stop-signal", c.StopSignal)
	l.On("--tty", c.Tty)
	l.On("--interactive", c.OpenStdin)
	if c.StopTimeout != nil {
		l.Add("--stop-timeout", strconv.Itoa(*c.StopTimeout))
	}
	l.Add("--env", c.Env...)
	l.pairs("--label", "=", c.Labels)
	l.Add("--volume", c.newVolumes()...)
	c.HostConfig.flags(&l)
	if c.hasPorts() {
		c.HostConfig.ports(&l)
	}
	l.Add("--expose", c.exposed()...)
	l.Add("--link", c.links()...)
	c.health(&l)
	c.network(&l)
	words := c.Cmd
	if len(c.Entrypoint) > 0 {
		l = append(l, "--entrypoint="+c.Entrypoint[0])
		words = slices.Concat(c.Entrypoint[1:], words)
	}
	return append(append(l, c.Image), words...), nil
}

// ownsHostname reports whether the container has a host name of its own. Its short id is one, as in Docker.
func (c *Create) ownsHostname() bool {
	h := &c.HostConfig
	return h.NetworkMode != "host" && h.UTSMode != "host" && !strings.HasPrefix(h.NetworkMode, "container:")
}

// Warnings are about what is accepted and has no effect, in Docker's words.
func (c *Create) Warnings() []string {
	warnings, h := []string{}, &c.HostConfig
	if h.NetworkMode == "host" && len(h.PortBindings) > 0 {
		warnings = append(warnings, "Published ports are discarded when using host network mode")
	}
	for _, option := range slices.Sorted(maps.Keys(h.LogConfig.Config)) {
		warnings = append(warnings, "Log option "+option+" is discarded: the whole log is kept, as it is")
	}
	return warnings
}

// hasPorts reports whether there is a network to publish ports from.
func (c *Create) hasPorts() bool {
	return !c.NetworkDisabled && c.HostConfig.NetworkMode != "host" && c.HostConfig.NetworkMode != "none"
}

// exposed are the ports of --expose: those that are not published.
func (c *Create) exposed() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.ExposedPorts)), func(port string) bool {
		return c.hasPorts() && len(c.HostConfig.PortBindings[port]) > 0
	})
}

// links are those of the container and of each of its networks, where Docker has them too.
func (c *Create) links() []string {
	all := slices.Clone(c.HostConfig.Links)
	for _, e := range c.NetworkingConfig.EndpointsConfig {
		if e != nil {
			all = append(all, e.Links...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// newVolumes are the paths of volumes that are only for this container. Docker's SDK for Python also
// sends those that a bind has.
func (c *Create) newVolumes() []string {
	taken := map[string]bool{}
	for _, bind := range c.HostConfig.Binds {
		if fields := strings.Split(bind, ":"); len(fields) > 1 {
			taken[path.Clean(fields[1])] = true
		}
	}
	for _, m := range c.HostConfig.Mounts {
		taken[path.Clean(m.Target)] = true
	}
	for target := range c.HostConfig.Tmpfs {
		taken[path.Clean(target)] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.Volumes)), func(target string) bool { return taken[path.Clean(target)] })
}

// health adds the health check.
func (c *Create) health(l *Words) {
	h := c.Healthcheck
	if h == nil {
		return
	}
	if len(h.Test) > 0 {
		switch words := h.Test[1:]; {
		case h.Test[0] == "NONE":
			*l = append(*l, "--no-healthcheck")
		case h.Test[0] == "CMD-SHELL":
			l.Add("--health-cmd", strings.Join(words, " "))
		default:
			text, _ := json.Marshal(words) // of strings
			l.Add("--health-cmd", string(text))
		}
	}
	l.duration("--health-interval", h.Interval)
	l.duration("--health-timeout", h.Timeout)
	l.duration("--health-start-period", h.StartPeriod)
	l.duration("--health-start-interval", h.StartInterval)
	l.number("--health-retries", int64(h.Retries))
}

// network adds the networks that the container wants: first the one that the mode names.
func (c *Create) network(l *Words) {
	mode, all := c.HostConfig.NetworkMode, c.NetworkingConfig.EndpointsConfig
	if c.NetworkDisabled {
		mode = "none"
	}
	names := slices.Sorted(maps.Keys(all))
	if (mode == "" || mode == "default") && len(names) > 0 {
		mode = names[0]
	}
	if mode != "none" { // Docker takes one there too, and there is no link that could have it
		l.Add("--mac-address", c.MacAddress)
	}
	for _, name := range append([]string{mode}, slices.DeleteFunc(names, func(name string) bool { return name == mode })...) {
		if wish := all[name].wish(name); wish != "default" || len(all) > 1 {
			l.Add("--network", wish)
		}
	}
}

// NameNetworks has networks that are given by their ids go by their names.
func (c *Create) NameNetworks(nameOf func(text string) string) {
	c.HostConfig.NetworkMode = nameOf(c.HostConfig.NetworkMode)
	named := map[string]*Endpoint{}
	for text, e := range c.NetworkingConfig.EndpointsConfig {
		named[nameOf(text)] = e
	}
	c.NetworkingConfig.EndpointsConfig = named
}

// wish is what the container wants of a network, as box run --network has it.
func (e *Endpoint) wish(network string) string {
	w := ipam.Wish{Network: network}
	if e != nil {
		w.Aliases = e.Aliases
		w.IP, _ = netip.ParseAddr(e.ip()) // checked before, and so is the other
		if network != "none" {
			w.MAC, _ = net.ParseMAC(e.MacAddress)
		}
	}
	return w.String()
}

// ip is the address that the container wants, "" for any.
func (e *Endpoint) ip() string {
	if e.IPAMConfig == nil {
		return ""
	}
	return e.IPAMConfig.IPv4Address
}

// check refuses what box has no flag for.
func (e *Endpoint) check() error {
	if err := (ipam.Wish{Aliases: e.Aliases}).CheckAliases("alias"); err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	if err := new(ipam.Wish).SetMAC(e.MacAddress); err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	return refuse(map[string]bool{"IPv6Address": e.IPAMConfig != nil && e.IPAMConfig.IPv6Address != ""})
}

// invalid refuses what Docker does, in its words.
func (c *Create) invalid() error {
	h := &c.HostConfig
	var wrong []string
	for _, variable := range c.Env {
		if name, _, _ := strings.Cut(variable, "="); name == "" {
			wrong = append(wrong, "invalid environment variable: "+variable)
		}
	}
	shared := func(mode string) bool { return strings.HasPrefix(mode, "container:") && mode != "container:" }
	if !slices.Contains([]string{"", "host"}, h.PidMode) && !shared(h.PidMode) {
		wrong = append(wrong, "invalid PID mode: "+h.PidMode)
	}
	if !slices.Contains([]string{"", "none", "private", "shareable", "host"}, h.IpcMode) && !shared(h.IpcMode) {
		wrong = append(wrong, "invalid IPC mode: "+h.IpcMode)
	}
	if !slices.Contains([]string{"", "host"}, h.UTSMode) {
		wrong = append(wrong, "invalid UTS mode: "+h.UTSMode)
	}
	if h.Isolation != "" && h.Isolation != "default" {
		wrong = append(wrong, fmt.Sprintf("Invalid isolation: %q - linux only supports 'default'", h.Isolation))
	}
	if h.NanoCpus < 0 {
		wrong = append(wrong, "NanoCpus: the number of CPUs cannot be negative")
	}
	if h.RestartPolicy.MaximumRetryCount < 0 {
		wrong = append(wrong, "maximum retry count cannot be negative")
	}
	if _, empty := h.Annotations[""]; empty {
		wrong = append(wrong, "invalid Annotations: the empty string is not permitted as an annotation key")
	}
	if h.UTSMode == "host" && c.Hostname != "" {
		wrong = append(wrong, "conflicting options: hostname and the UTS mode")
	}
	if c.MacAddress != "" && (h.NetworkMode == "host" || strings.HasPrefix(h.NetworkMode, "container:")) {
		wrong = append(wrong, "conflicting options: mac-address and the network mode")
	}
	if strings.HasPrefix(h.NetworkMode, "container:") { // all of these are the other container's
		for what, given := range map[string]bool{"hostname": c.Hostname != "", "dns": len(h.DNS) > 0, "custom host-to-IP mapping": len(h.ExtraHosts) > 0} {
			if given {
				wrong = append(wrong, "conflicting options: "+what+" and the network mode")
			}
		}
		if len(h.PortBindings) > 0 || h.PublishAllPorts {
			wrong = append(wrong, "conflicting options: port publishing and the container type network mode")
		}
		if len(c.ExposedPorts) > 0 {
			wrong = append(wrong, "conflicting options: port exposing and the container type network mode")
		}
	}
	if wrong = append(wrong, h.unknown()...); len(wrong) == 0 {
		return c.invalidHealth()
	}
	return rest.Errorf(http.StatusBadRequest, "%s", wrong[0])
}

// unknown are names and ports that Docker refuses as those of nothing it has, in its words: box has no
// more drivers than a Docker that was built with these.
func (h *HostConfig) unknown() (wrong []string) {
	if !slices.Contains([]string{"", "json-file"}, h.LogConfig.Type) {
		wrong = append(wrong, "logger: no log driver named '"+h.LogConfig.Type+"' is registered")
	}
	if !slices.Contains([]string{"", "box", "runc"}, h.Runtime) {
		wrong = append(wrong, "unknown or invalid runtime name: "+h.Runtime)
	}
	for _, m := range h.Mounts {
		if !slices.Contains([]string{"bind", "volume", "tmpfs", "image"}, m.Type) {
			wrong = append(wrong, fmt.Sprintf("invalid mount config for type %q: mount type unknown", m.Type))
		}
	}
	for _, port := range slices.Sorted(maps.Keys(h.PortBindings)) { // also where none is published
		number, _, _ := strings.Cut(port, "/")
		if _, err := strconv.ParseUint(number, 10, 16); err != nil {
			wrong = append(wrong, fmt.Sprintf("invalid port specification: %q", number))
		}
		for _, b := range h.PortBindings[port] {
			if from, to, isRange := strings.Cut(b.HostPort, "-"); !isPort(from) || isRange && !isPort(to) {
				wrong = append(wrong, fmt.Sprintf("invalid port specification: %q", b.HostPort))
			}
		}
	}
	return wrong
}

// isPort reports whether a text is a port; none is any.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil || text == ""
}

// invalidHealth refuses times of a health check that are too short, in Docker's words.
func (c *Create) invalidHealth() error {
	h := c.Healthcheck
	if h == nil {
		return nil
	}
	for _, t := range []struct {
		name string
		is   time.Duration
	}{{"Interval", h.Interval}, {"Timeout", h.Timeout}, {"StartPeriod", h.StartPeriod}, {"StartInterval", h.StartInterval}} {
		if t.is != 0 && t.is < time.Millisecond {
			return rest.Errorf(http.StatusBadRequest, "%s in Healthcheck cannot be less than %s", t.name, time.Millisecond)
		}
	}
	if h.Retries < 0 {
		return rest.Errorf(http.StatusBadRequest, "Retries in Healthcheck cannot be negative")
	}
	return nil
}

// check refuses what box create has no flag for.
func (c *Create) check() error {
	h := &c.HostConfig
	if err := c.invalid(); err != nil {
		return err
	}
	given := map[string]bool{
		"HostConfig.MaskedPaths": h.MaskedPaths != nil, "HostConfig.ReadonlyPaths": h.ReadonlyPaths != nil,
		"HostConfig.StorageOpt":   len(h.StorageOpt) > 0,
		"HostConfig.VolumeDriver": h.VolumeDriver != "" && h.VolumeDriver != "local",
		"HostConfig.UsernsMode":   h.UsernsMode != "" && h.UsernsMode != "host",
	}
	if h := c.Healthcheck; h != nil && len(h.Test) > 0 && !(h.Test[0] == "NONE" || len(h.Test) > 1 && strings.HasPrefix(h.Test[0], "CMD")) {
		return rest.Errorf(http.StatusBadRequest, "Healthcheck %q: give NONE, CMD or CMD-SHELL, and a command", h.Test)
	}
	if err := new(ipam.Wish).SetMAC(c.MacAddress); err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	for _, e := range c.NetworkingConfig.EndpointsConfig {
		if e == nil {
			continue
		}
		if err := e.check(); err != nil {
			return err
		}
		if ip, err := netip.ParseAddr(e.ip()); e.ip() != "" && (err != nil || !ip.Is4()) {
			return rest.Errorf(http.StatusBadRequest, "IPv4Address %s: invalid address", e.ip())
		}
	}
	for _, m := range h.Mounts {
		m.unknown(given)
	}
	if err := refuse(given); err != nil {
		return err
	}
	return h.Resources.check()
}

// check refuses limits that box does not set.
func (r *Resources) check() error {
	return refuse(map[string]bool{"BlkioWeightDevice": len(r.BlkioWeightDevice) > 0,
		"DeviceRequests": len(r.DeviceRequests) > 0, "OomKillDisable": r.OomKillDisable != nil && *r.OomKillDisable,
		"CpuRealtimePeriod": r.CpuRealtimePeriod > 0, "CpuRealtimeRuntime": r.CpuRealtimeRuntime > 0,
		"KernelMemory": r.KernelMemory > 0, "KernelMemoryTCP": r.KernelMemoryTCP > 0})
}

// flags are those about the host's side.
func (h *HostConfig) flags(l *Words) {
	h.Resources.flags(l)
	l.Add("--volume", h.Binds...)
	l.Add("--volumes-from", h.VolumesFrom...)
	if slices.Contains([]string{"", "private", "shareable"}, h.IpcMode) { // else it is not the container's own
		l.number("--shm-size", h.ShmSize)
	}
	l.Add("--cap-add", h.CapAdd...)
	l.Add("--cap-drop", h.CapDrop...)
	l.Add("--group-add", h.GroupAdd...)
	l.Add("--dns", h.DNS...)
	l.Add("--dns-search", h.DNSSearch...)
	l.Add("--dns-option", h.DNSOptions...)
	l.Add("--add-host", h.ExtraHosts...)
	l.Add("--security-opt", h.SecurityOpt...)
	l.number("--oom-score-adj", int64(h.OomScoreAdj))
	l.On("--rm", h.AutoRemove)
	l.On("--privileged", h.Privileged)
	l.On("--read-only", h.ReadonlyRootfs)
	l.On("--init", h.Init != nil && *h.Init)
	l.Add("--pid", h.PidMode)
	l.Add("--ipc", h.IpcMode)
	l.Add("--uts", h.UTSMode)
	if h.CgroupnsMode == "host" {
		l.Add("--share", "cgroup")
	}
	l.pairs("--tmpfs", ":", h.Tmpfs)
	l.pairs("--sysctl", "=", h.Sysctls)
	l.pairs("--annotation", "=", h.Annotations)
	l.Add("--restart", h.RestartPolicy.String())
	h.mounts(l)
}

// ports publishes ports.
func (h *HostConfig) ports(l *Words) {
	l.On("--publish-all", h.PublishAllPorts)
	for _, port := range slices.Sorted(maps.Keys(h.PortBindings)) {
		for _, b := range h.PortBindings[port] {
			host := b.HostIP
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			l.Add("--publish", strings.TrimLeft(host+":"+b.HostPort+":"+port, ":"))
		}
	}
}

func (h *HostConfig) mounts(l *Words) {
	for i := range h.Mounts {
		l.Add("--mount", h.Mounts[i].spec())
	}
}

// flags are those of limits.
func (r *Resources) flags(l *Words) {
	l.number("--memory", r.Memory)
	l.number("--memory-swap", r.MemorySwap)
	l.number("--memory-reservation", r.MemoryReservation)
	if r.NanoCpus > 0 {
		l.Add("--cpus", strconv.FormatFloat(float64(r.NanoCpus)/1e9, 'f', -1, 64))
	}
	l.number("--cpu-period", r.CpuPeriod)
	l.number("--cpu-quota", r.CpuQuota)
	l.number("--cpu-shares", r.CpuShares)
	l.Add("--cpuset-cpus", r.CpusetCpus)
	l.Add("--cpuset-mems", r.CpusetMems)
	l.Add("--cgroup-parent", r.CgroupParent)
	if r.PidsLimit != nil {
		l.number("--pids-limit", *r.PidsLimit)
	}
	for flag, list := range map[string][]api.ThrottleDevice{"--device-read-bps": r.BlkioDeviceReadBps, "--device-write-bps": r.BlkioDeviceWriteBps,
		"--device-read-iops": r.BlkioDeviceReadIOps, "--device-write-iops": r.BlkioDeviceWriteIOps} {
		for _, t := range list {
			l.Add(flag, fmt.Sprintf("%s:%d", t.Path, t.Rate))
		}
	}
	l.number("--blkio-weight", r.BlkioWeight)
	if r.MemorySwappiness != nil && *r.MemorySwappiness >= 0 {
		l.Add("--memory-swappiness", strconv.FormatInt(*r.MemorySwappiness, 10))
	}
	l.Add("--device-cgroup-rule", r.DeviceCgroupRules...)
	for _, d := range r.Devices {
		l.Add("--device", strings.TrimRight(d.PathOnHost+":"+d.PathInContainer+":"+d.CgroupPermissions, ":"))
	}
	l.ulimits(r.Ulimits)
}
