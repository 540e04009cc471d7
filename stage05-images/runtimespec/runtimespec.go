// Package runtimespec translates the words of an OCI bundle's config.json (the OCI Runtime
// Specification, config.md and config-linux.md) to the kernel's numbers. An error names the field
// by its path. The caller makes the container's plan.
//
// Load reads and checks the file. namespaces.go has what depends on linux.namespaces, mounts.go
// the options of mounts, look.go what the mounts show, devices.go the rules for devices, and
// names.go capabilities, limits of setrlimit(2) and the like. The lesson reads Refuse. write.go
// goes the other way: it writes a config.json for one of box's own containers.
package runtimespec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	json "github.com/go-json-experiment/json/v1" // its types are read in half the time of encoding/json's
	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage01-namespaces/rawfile"
)

// Load reads the config.json in dir, a bundle, and makes root.path and the sources of bind mounts
// absolute. A field that is missing, wrong or not supported is an error that names it.
func Load(dir string) (*specs.Spec, error) {
	file := filepath.Join(dir, "config.json")
	data, err := rawfile.Read(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file; --bundle names the directory that holds it", file)
	}
	if err != nil {
		return nil, err
	}
	spec := &specs.Spec{}
	if err := json.Unmarshal(data, spec); err != nil {
		return nil, fmt.Errorf("%s: %w", file, wrongType(err))
	}
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &specs.LinuxResources{}
	}
	if spec.Hooks == nil {
		spec.Hooks = &specs.Hooks{}
	}
	if err := errors.Join(check(spec), Refuse(spec)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if spec.Root.Path = filepath.Clean(spec.Root.Path); !filepath.IsAbs(spec.Root.Path) {
		spec.Root.Path = filepath.Join(dir, spec.Root.Path)
	}
	for i, m := range spec.Mounts {
		if isBind(m) && !filepath.IsAbs(m.Source) {
			spec.Mounts[i].Source = filepath.Join(dir, m.Source)
		}
	}
	return spec, nil
}

// wrongType names the field that holds a value of another type, such as process.args[1].
func wrongType(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	field := ""
	for part := range strings.SplitSeq(wrong.Field, ".") {
		if _, err := strconv.Atoi(part); err == nil {
			part = "[" + part + "]"
		} else if field != "" {
			part = "." + part
		}
		field += part
	}
	return fmt.Errorf("%s: it is a %s, and has to be %s", field, wrong.Value, wrong.Type)
}

// check names the fields that have to be there and are not, or that no program can have.
func check(spec *specs.Spec) error {
	if v := spec.Version; v != "1.0" && !strings.HasPrefix(v, "1.") {
		return fmt.Errorf("ociVersion %q: not supported; box supports 1.0.0 to %s", v, specs.Version)
	}
	switch {
	case spec.Root == nil || spec.Root.Path == "":
		return errors.New("root.path: missing")
	case spec.Process == nil:
		return errors.New("process: missing")
	case spec.Linux.Seccomp != nil && spec.Linux.Seccomp.DefaultAction == "":
		return errors.New("linux.seccomp.defaultAction: missing")
	}
	for i, m := range spec.Mounts {
		if m.Destination == "" {
			return fmt.Errorf("mounts[%d].destination: missing", i)
		}
	}
	return errors.Join(CheckProcess(spec.Process), checkHooks(spec.Hooks))
}

// CheckProcess checks a process, that of config.json or one that exec is given.
func CheckProcess(p *specs.Process) error {
	switch {
	case len(p.Args) == 0 || p.Args[0] == "":
		return errors.New("process.args[0]: missing; it is the program to run")
	case !filepath.IsAbs(p.Cwd):
		return fmt.Errorf("process.cwd %q: must be an absolute path", p.Cwd)
	case p.ApparmorProfile != "":
		return fmt.Errorf("process.apparmorProfile %q: not supported", p.ApparmorProfile)
	case p.SelinuxLabel != "":
		return fmt.Errorf("process.selinuxLabel %q: not supported", p.SelinuxLabel)
	case p.ExecCPUAffinity != nil:
		return errors.New("process.execCPUAffinity: not supported")
	}
	for i, variable := range p.Env {
		if name, _, found := strings.Cut(variable, "="); name == "" || !found {
			return fmt.Errorf("process.env[%d] %q: must be NAME=VALUE", i, variable)
		}
	}
	return nil
}

// hookKinds are the kinds of hooks, in the order in which they run.
var hookKinds = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// Hooks returns the hooks of a kind, such as poststop.
func Hooks(h *specs.Hooks, kind string) []specs.Hook {
	switch kind {
	case "prestart":
		//lint:ignore SA1019 deprecated, and still what engines write
		return h.Prestart
	case "createRuntime":
		return h.CreateRuntime
	case "createContainer":
		return h.CreateContainer
	case "startContainer":
		return h.StartContainer
	case "poststart":
		return h.Poststart
	}
	return h.Poststop
}

func checkHooks(h *specs.Hooks) error {
	for _, kind := range hookKinds {
		for i, hook := range Hooks(h, kind) {
			if !filepath.IsAbs(hook.Path) {
				return fmt.Errorf("hooks.%s[%d].path %q: must be an absolute path", kind, i, hook.Path)
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				return fmt.Errorf("hooks.%s[%d].timeout: must be more than 0 seconds", kind, i)
			}
		}
	}
	return nil
}

// Refuse returns an error that names the first field that the specification has and box does not
// support.
func Refuse(spec *specs.Spec) error {
	l, r := spec.Linux, spec.Linux.Resources
	for _, field := range []struct {
		asked bool
		name  string
	}{
		{l.MountLabel != "", "linux.mountLabel"}, {l.IntelRdt != nil, "linux.intelRdt"},
		{l.MemoryPolicy != nil, "linux.memoryPolicy"}, {len(l.NetDevices) > 0, "linux.netDevices"},
		{r.Network != nil && (r.Network.ClassID != nil || len(r.Network.Priorities) > 0), "linux.resources.network"},
		{len(r.Rdma) > 0, "linux.resources.rdma"},
		{spec.Windows != nil, "windows"}, {spec.VM != nil, "vm"}, {spec.Solaris != nil, "solaris"},
	} {
		if field.asked {
			return fmt.Errorf("%s: not supported", field.name)
		}
	}
	return refuseNotify(l.Seccomp)
}

// refuseNotify names a rule that asks another process to decide, which needs a listener.
func refuseNotify(s *specs.LinuxSeccomp) error {
	if s == nil {
		return nil
	}
	if s.DefaultAction == specs.ActNotify || s.ListenerPath != "" {
		return errors.New("linux.seccomp: SCMP_ACT_NOTIFY is not supported")
	}
	i := slices.IndexFunc(s.Syscalls, func(c specs.LinuxSyscall) bool { return c.Action == specs.ActNotify })
	if i >= 0 {
		return fmt.Errorf("linux.seccomp.syscalls[%d].action: SCMP_ACT_NOTIFY is not supported", i)
	}
	return nil
}
