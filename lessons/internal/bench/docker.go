package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// dockerRunners are the OCI runtimes, each with n containers of its own that docker would hand it.
func (b *Bench) dockerRunners(ctx context.Context, root string, n int) (list []Entrant, err error) {
	for _, program := range []string{"crun", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			continue
		}
		dir := filepath.Join(b.Dir, "docker-"+program)
		if err := b.dockerBundles(ctx, root, dir, n); err != nil {
			return nil, err
		}
		list = append(list, Entrant{Label: program + " run, docker's config.json", Each: func(i int) []string {
			name := fmt.Sprint(i)
			return b.runtime(program, "run", "-b", filepath.Join(dir, name), "stagebox-bench-docker-"+name)
		}})
	}
	return list, nil
}

// dockerBundles makes bundles as docker run --network none hands them to its runtime. box bundle
// writes the same mounts, masks, capabilities and filter; docker's own has a cgroup with a list of
// devices besides, and no cgroup namespace on a host with version 1. The hook by which docker's
// daemon learns of the network namespace is left out: it would start dockerd.
func (b *Bench) dockerBundles(ctx context.Context, root, dir string, n int) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	var spec specs.Spec
	base := filepath.Join(dir, "box")
	err := shell(ctx, `mkdir "$1"; BOX_ROOT=$2 "$3" bundle tiny "$4" /bin/true`, dir, filepath.Join(b.Dir, "box"), b.Last, base)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &spec)
	}
	if err != nil {
		return fmt.Errorf("the bundle that box writes: %w", err)
	}
	asDocker(&spec, root, base)
	for i := range n {
		own := filepath.Join(dir, fmt.Sprint(i))
		// Two with one path fail, and the runtime removes the last directory of it only.
		spec.Linux.CgroupsPath = fmt.Sprintf("/stagebox-bench-%s-%d", filepath.Base(dir), i)
		if text, err = json.Marshal(spec); err != nil {
			return err
		}
		if err := errors.Join(os.Mkdir(own, 0o755), os.WriteFile(filepath.Join(own, "config.json"), text, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// asDocker changes what box bundle has written in dir into what docker writes.
func asDocker(spec *specs.Spec, root, dir string) {
	spec.Root.Path = root
	for i, m := range spec.Mounts {
		if m.Type == "bind" {
			spec.Mounts[i].Source = filepath.Join(dir, m.Source)
		}
	}
	zero := 0
	spec.Process.OOMScoreAdj = &zero
	rules := []specs.LinuxDeviceCgroup{{Access: "rwm"}}
	for _, device := range []struct {
		allow        bool
		major, minor int64
	}{{true, 1, 5}, {true, 1, 3}, {true, 1, 9}, {true, 1, 8}, {true, 5, 0}, {true, 5, 1}, {false, 10, 229}} {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: device.allow, Type: "c", Major: &device.major, Minor: &device.minor, Access: "rwm"})
	}
	spec.Linux.Resources = &specs.LinuxResources{Devices: rules, Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return
	}
	namespaces := spec.Linux.Namespaces[:0]
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type != specs.CgroupNamespace {
			namespaces = append(namespaces, ns)
		}
	}
	spec.Linux.Namespaces = namespaces
}

// dockerNet is the network namespace of docker's daemon, on whose loopback the registry has to be:
// that of the process that listens on its socket (unix(7), SO_PEERCRED).
func dockerNet(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").Output()
	if err != nil {
		return "", fmt.Errorf("docker context inspect: %w", err)
	}
	host := strings.TrimSpace(string(out))
	path, isLocal := strings.CutPrefix(host, "unix://")
	if !isLocal {
		return "", fmt.Errorf("docker's daemon is at %s, which the registry of this row cannot reach: "+
			"start one with dockerd -H unix:///run/NAME.sock, and name that in DOCKER_HOST", host)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var peer *unix.Ucred
	var errPeer error
	err = raw.Control(func(fd uintptr) { peer, errPeer = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, errPeer); err != nil {
		return "", fmt.Errorf("%s: SO_PEERCRED: %w", path, err)
	}
	return fmt.Sprintf("/proc/%d/ns/net", peer.Pid), nil
}
