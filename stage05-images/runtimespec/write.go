package runtimespec

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage01-namespaces/rawfile"
	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/etc"
	"stagebox/stage03-rootfs/seccomp"
	"stagebox/stage04-unionfs/files"
)

// Bundle is a container for which a config.json is written.
type Bundle struct {
	Args, Env []string
	Cwd       string // "" is /
	TTY       bool
	Hostname  string

	UID, GID int
	Groups   []int          // supplementary ones
	Caps     capability.Set // the bounding set, and what root has in effect

	Namespaces       []string    // the new ones, as in /proc/PID/ns
	HostUID, HostGID int         // who is user 0 of a new user namespace
	Cgroups          string      // where those of the container are mounted
	Masked, ReadOnly []string    // paths; of the second, below /proc
	Files            [][2]string // of the bundle, and where each is mounted
}

// spec returns the config.json: of version 1.0.2, so that older runtimes take it too. The time
// namespace, which came with 1.1, is left out: without linux.timeOffsets it changes nothing.
func (b *Bundle) spec() *specs.Spec {
	spec := &specs.Spec{
		Version: "1.0.2", Hostname: b.Hostname, Root: &specs.Root{Path: "rootfs"}, Process: b.process(), Mounts: b.mounts(),
		Linux: &specs.Linux{MaskedPaths: b.Masked},
	}
	for _, name := range b.ReadOnly {
		spec.Linux.ReadonlyPaths = append(spec.Linux.ReadonlyPaths, "/proc/"+name)
	}
	for _, name := range b.Namespaces {
		if name != "time" {
			spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: typeOf(name)})
		}
	}
	groups := "0 2147483647"
	if b.isMapped() {
		groups = "0 0"
		spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(b.HostUID), Size: 1}}
		spec.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: uint32(b.HostGID), Size: 1}}
	} else {
		spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	}
	spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": groups}
	return spec
}

func (b *Bundle) isMapped() bool { return slices.Contains(b.Namespaces, "user") }

// process gives capabilities in effect to root alone. Its group is one of the supplementary ones too,
// as in box run, where the kernel lets it have any.
func (b *Bundle) process() *specs.Process {
	caps := &specs.LinuxCapabilities{Bounding: b.Caps.Names()}
	if b.UID == 0 {
		caps.Effective, caps.Permitted = caps.Bounding, caps.Bounding
	}
	user := specs.User{UID: uint32(b.UID), GID: uint32(b.GID)}
	groups := b.Groups
	if !b.isMapped() {
		groups = append([]int{b.GID}, groups...)
	}
	for _, group := range groups {
		user.AdditionalGids = append(user.AdditionalGids, uint32(group))
	}
	return &specs.Process{Terminal: b.TTY, User: user, Args: b.Args, Env: b.Env, Cwd: cmp.Or(b.Cwd, "/"), Capabilities: caps}
}

// mounts are those of every container of box run.
func (b *Bundle) mounts() (list []specs.Mount) {
	add := func(target, kind, options string) {
		list = append(list, specs.Mount{Destination: target, Type: kind, Source: kind, Options: strings.Split(options, ",")})
	}
	terminals := "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"
	if !b.isMapped() {
		terminals += ",gid=5"
	}
	add("/proc", "proc", "nosuid,nodev,noexec")
	add("/sys", "sysfs", "nosuid,nodev,noexec,ro")
	add(b.Cgroups, "cgroup", "nosuid,nodev,noexec,relatime,ro")
	add("/dev", "tmpfs", "nosuid,noexec,strictatime,mode=755,size=65536k")
	add("/dev/pts", "devpts", terminals)
	add("/dev/shm", "tmpfs", "nosuid,nodev,noexec,mode=1777,size=65536k")
	if known, err := rawfile.Read("/proc/filesystems"); err == nil && strings.Contains(string(known), "\tmqueue\n") {
		add("/dev/mqueue", "mqueue", "nosuid,nodev,noexec")
	}
	for _, file := range b.Files {
		list = append(list, specs.Mount{Destination: file[1], Type: "bind", Source: file[0], Options: []string{"rbind", "rprivate"}})
	}
	return list
}

// EtcFiles are the files of a bundle that are mounted in the container's /etc.
var EtcFiles = []string{"hostname", "hosts", "resolv.conf"}

// Write writes config.json, with Docker's seccomp profile, and EtcFiles to the directory of the bundle.
func (b *Bundle) Write(dir string) error {
	profile, err := seccomp.Default(b.Caps.Names())
	if err != nil {
		return err
	}
	spec := b.spec()
	spec.Linux.Seccomp = profile
	config, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"config.json": string(config) + "\n", "hostname": b.Hostname + "\n",
		"hosts": etc.Hosts(etc.HostNames(b.Hostname), "127.0.1.1"), "resolv.conf": etc.ResolvConf(),
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return err
}

// NewDir makes the path of a directory absolute, and refuses one that cannot be made, or that holds something.
func NewDir(path string) (dir string, err error) {
	if dir, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("parent directory %s does not exist", filepath.Dir(dir))
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && files.IsEmpty(dir) {
		return dir, nil
	}
	return "", errors.New("it is there already, and is not an empty directory; give the name of a new one")
}
