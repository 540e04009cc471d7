// Package commandline translates requests of the Docker Engine API into command lines of box. It
// checks what the API allows and box has no flag for, and leaves the rest to the command. The
// lesson reads Create.Words.
package commandline

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/registry"
	"stagebox/stage09-daemon/rest"
)

// Words is a command line.
type Words []string

// Add adds a flag with each of some values, but for empty ones.
func (l *Words) Add(flag string, values ...string) {
	for _, v := range values {
		if v != "" {
			*l = append(*l, flag+"="+v)
		}
	}
}

// On adds a flag that has no value.
func (l *Words) On(flag string, is bool) {
	if is {
		*l = append(*l, flag)
	}
}

// number adds a flag with a number, but for 0, which means the default.
func (l *Words) number(flag string, n int64) {
	if n != 0 {
		l.Add(flag, strconv.FormatInt(n, 10))
	}
}

// duration adds a flag with a time, but for 0, which means the default.
func (l *Words) duration(flag string, d time.Duration) {
	if d != 0 {
		l.Add(flag, d.String())
	}
}

// pairs adds a flag for each pair, in the order of the keys.
func (l *Words) pairs(flag, separator string, all map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		l.Add(flag, strings.TrimSuffix(key+separator+all[key], separator))
	}
}

// ulimits adds the limits of setrlimit(2).
func (l *Words) ulimits(list []api.Ulimit) {
	for _, u := range list {
		l.Add("--ulimit", fmt.Sprintf("%s=%d:%d", u.Name, u.Soft, u.Hard))
	}
}

// With adds what follows the flags, none of which is taken for a flag.
func (l Words) With(args ...string) []string { return append(append(l, "--"), args...) }

// refuse refuses the fields that are given and that box cannot honour.
func refuse(given map[string]bool) error {
	for _, field := range slices.Sorted(maps.Keys(given)) {
		if given[field] {
			return rest.Errorf(http.StatusNotImplemented, "%s is not supported", field)
		}
	}
	return nil
}

// CheckImage refuses a text that cannot name an image, and that box would take for a path or a
// flag.
func CheckImage(name string) error {
	if name == "" {
		return rest.Errorf(http.StatusBadRequest, "no image is named")
	}
	if strings.ContainsAny(name[:1], "/.-") || strings.ContainsAny(name, " \t\n\x00") {
		return rest.Errorf(http.StatusBadRequest, "image %q: invalid reference format", name)
	}
	if _, err := registry.ParseReference(name); err != nil {
		return rest.Errorf(http.StatusBadRequest, "invalid reference format: %v", err)
	}
	return nil
}

// Reference joins a repository and a tag, or a digest.
func Reference(repository, tag string) string {
	switch {
	case tag == "":
		return repository
	case strings.Contains(tag, ":"):
		return repository + "@" + tag
	}
	return repository + ":" + tag
}

// Stop is for the requests that end a container.
func Stop(verb, signal, seconds string) Words {
	l := Words{verb}
	l.Add("--signal", signal)
	l.Add("--time", seconds)
	return l
}

// Build is the line of box build; the context comes on its standard input.
func Build(r *rest.Request) ([]string, error) {
	args, labels, caches := map[string]*string{}, map[string]string{}, []string{}
	shmSize, ulimits := int64(0), []api.Ulimit{}
	for key, to := range map[string]any{"buildargs": &args, "labels": &labels, "cachefrom": &caches,
		"shmsize": &shmSize, "ulimits": &ulimits} {
		if err := r.JSONParam(key, to); err != nil {
			return nil, err
		}
	}
	given := map[string]bool{}
	for _, key := range []string{"remote", "memory", "memswap", "cpushares", "cpusetcpus", "cpusetmems", "cpuquota", "cpuperiod",
		"squash", "cgroupparent", "securityopt", "outputs"} {
		given["build: "+key] = r.Is(key) && r.Param(key) != "null" && r.Param(key) != "[]"
	}
	if err := refuse(given); err != nil {
		return nil, err
	}
	l := Words{"build", "--progress=plain"}
	l.Add("--tag", r.URL.Query()["t"]...)
	l.Add("--file", cmp.Or(r.Param("dockerfile"), "Dockerfile"))
	l.Add("--target", r.Param("target"))
	l.Add("--platform", r.Param("platform"))
	l.On("--no-cache", r.Is("nocache"))
	l.On("--quiet", r.Is("q"))
	l.On("--pull", r.Is("pull"))
	l.Add("--cache-from", caches...)
	l.pairs("--label", "=", labels)
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if args[name] != nil { // else it would be the daemon's own
			l = append(l, "--build-arg="+name+"="+*args[name])
		}
	}
	switch mode := r.Param("networkmode"); mode {
	case "", "default", "bridge":
	default:
		l.Add("--network", mode)
	}
	l.Add("--add-host", r.URL.Query()["extrahosts"]...)
	l.number("--shm-size", shmSize)
	l.ulimits(ulimits)
	return append(l, "-"), nil
}

// Exec is the body of POST /containers/NAME/exec.
type Exec struct {
	AttachStdin, AttachStdout, AttachStderr, Tty, Privileged bool

	User, WorkingDir, DetachKeys string
	Env, Cmd                     []string

	ConsoleSize [2]uint16 // height and width; no flag of box
}

// Words is the line of box exec.
func (e *Exec) Words(container string) []string {
	l := Words{"exec"}
	l.On("--interactive", e.AttachStdin)
	l.On("--tty", e.Tty)
	l.On("--privileged", e.Privileged)
	l.Add("--user", e.User)
	l.Add("--workdir", e.WorkingDir)
	l.Add("--detach-keys", e.DetachKeys)
	l.Add("--env", e.Env...)
	return append(append(l, container), e.Cmd...)
}

// Update is the body of POST /containers/NAME/update.
type Update struct {
	Resources
	RestartPolicy Policy
}

// Words is the line of box update.
func (u *Update) Words(container string) ([]string, error) {
	if err := u.Resources.check(); err != nil {
		return nil, err
	}
	l := Words{"update"}
	u.Resources.flags(&l)
	l.Add("--restart", u.RestartPolicy.String())
	if len(l) == 1 {
		return nil, nil
	}
	return l.With(container), nil
}

// Policy is a restart policy.
type Policy struct {
	Name              string
	MaximumRetryCount int
}

func (p Policy) String() string {
	if p.MaximumRetryCount > 0 {
		return fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount)
	}
	return p.Name
}

// Network is the body of POST /networks/create.
type Network struct {
	Name, Driver, Scope string

	Internal, Attachable, Ingress, ConfigOnly bool

	EnableIPv6 *bool
	IPAM       *struct {
		Driver string
		Config []api.Pool
	}
	Options, Labels map[string]string
}

// Predefined are the networks that every daemon has.
var Predefined = []string{"bridge", "host", "none"}

// NotPredefined refuses to make or remove a network that every daemon has.
func NotPredefined(name string) error {
	if slices.Contains(Predefined, name) {
		return rest.Errorf(http.StatusForbidden, "%s is a predefined network: it can be neither created nor removed", name)
	}
	return nil
}

// Words is the line of box network create.
func (n *Network) Words() ([]string, error) {
	if err := NotPredefined(n.Name); err != nil {
		return nil, err
	}
	if n.Driver != "" && n.Driver != "bridge" && n.Driver != "default" {
		return nil, rest.Errorf(http.StatusNotFound, "could not find plugin %s: box has the driver bridge only", n.Driver)
	}
	if n.IPAM != nil && n.IPAM.Driver != "" && n.IPAM.Driver != "default" {
		return nil, rest.Errorf(http.StatusNotFound, "plugin %q not found: box has the IPAM driver default only", n.IPAM.Driver)
	}
	if n.Scope == "swarm" {
		return nil, rest.Errorf(http.StatusForbidden, "cannot create a swarm scoped network when swarm is not active")
	}
	hasNames := func(p api.Pool) bool { return len(p.AuxiliaryAddresses) > 0 }
	err := refuse(map[string]bool{"IPAM: AuxiliaryAddresses": n.IPAM != nil && slices.ContainsFunc(n.IPAM.Config, hasNames), "Ingress": n.Ingress, "ConfigOnly": n.ConfigOnly, "Options": len(n.Options) > 0,
		"EnableIPv6": n.EnableIPv6 != nil && *n.EnableIPv6, "IPAM: a second range": n.IPAM != nil && len(n.IPAM.Config) > 1})
	if err != nil {
		return nil, err
	}
	l := Words{"network", "create"}
	l.On("--internal", n.Internal)
	l.pairs("--label", "=", n.Labels)
	if n.IPAM != nil {
		for _, pool := range n.IPAM.Config {
			l.Add("--subnet", pool.Subnet)
			l.Add("--gateway", pool.Gateway)
			l.Add("--ip-range", pool.IPRange)
		}
	}
	return l.With(n.Name), nil
}

// Connect is the body of POST /networks/NAME/connect and of disconnect.
type Connect struct {
	Container      string
	EndpointConfig *Endpoint
	Force          bool
}

// Words is the line of box network connect.
func (c *Connect) Words(network string) ([]string, error) {
	l := Words{"network", "connect"}
	if e := c.EndpointConfig; e != nil {
		if err := e.check(); err != nil {
			return nil, err
		}
		if err := refuse(map[string]bool{"Links": len(e.Links) > 0}); err != nil {
			return nil, err
		}
		l.Add("--alias", e.Aliases...)
		l.Add("--ip", e.ip())
		l.Add("--mac-address", e.MacAddress)
	}
	return l.With(network, c.Container), nil
}

// Volume is the body of POST /volumes/create.
type Volume struct {
	Name, Driver string

	DriverOpts, Labels map[string]string
}

// Words is the line of box volume create.
func (v *Volume) Words() ([]string, error) {
	if err := refuse(map[string]bool{"DriverOpts": len(v.DriverOpts) > 0}); err != nil {
		return nil, err
	}
	l := Words{"volume", "create"}
	l.Add("--driver", v.Driver)
	l.pairs("--label", "=", v.Labels)
	if v.Name == "" {
		return l, nil
	}
	return l.With(v.Name), nil
}
