package runtimespec

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/rlimit"
	"stagebox/stage03-rootfs/seccomp"
)

// Capabilities are the five sets of capabilities(7).
type Capabilities struct{ Bounding, Effective, Permitted, Inheritable, Ambient capability.Set }

// KnownCaps are the capabilities that a container's process may have: in a user namespace, new or
// joined, the kernel gives it all.
func KnownCaps(spec *specs.Spec) capability.Set {
	if HasNamespace(spec, specs.UserNamespace) {
		return capability.Known(unix.CLONE_NEWUSER)
	}
	return capability.Known(0)
}

// ParseCapabilities reads process.capabilities, without which a process has none. A name that
// is unknown, or that box may not give, is left out, as runc does, with a warning.
func ParseCapabilities(c *specs.LinuxCapabilities, known capability.Set, warn func(string)) (caps Capabilities) {
	if c == nil {
		return caps
	}
	for _, set := range []struct {
		into *capability.Set
		list []string
	}{
		{&caps.Bounding, c.Bounding}, {&caps.Effective, c.Effective}, {&caps.Permitted, c.Permitted},
		{&caps.Inheritable, c.Inheritable}, {&caps.Ambient, c.Ambient},
	} {
		for _, name := range set.list {
			one, err := capability.Parse([]string{name})
			if err != nil || one&known == 0 {
				warn("process.capabilities: " + name + " is unknown or may not be given, and was left out")
			}
			*set.into |= one & known
		}
	}
	return caps
}

// Priorities are what a program inherits: how the kernel treats it, and limits.
type Priorities struct {
	OOMScoreAdj *int            // nil, as the next three, where nothing is asked for
	Scheduler   *unix.SchedAttr // of sched_setattr(2)
	IOPriority  *int            // of ioprio_set(2)
	Personality *int            // of personality(2)
	Limits      []rlimit.Limit
}

// ParsePriorities reads process.oomScoreAdj, scheduler, ioPriority and rlimits, and
// linux.personality. A hard limit that box may not raise stays as it is, with a warning.
func ParsePriorities(l *specs.Linux, p *specs.Process, warn func(string)) (o Priorities, err error) {
	o.OOMScoreAdj = p.OOMScoreAdj
	if o.Scheduler, err = scheduler(p.Scheduler); err != nil {
		return o, err
	}
	if o.IOPriority, err = ioPriority(p.IOPriority); err != nil {
		return o, err
	}
	if o.Personality, err = personality(l.Personality); err != nil {
		return o, err
	}
	limits, err := rlimits(p.Rlimits)
	for _, limit := range limits {
		allowed, isLower, _ := limit.Allowed() // the kernel says what is wrong with it
		if isLower {
			warn(fmt.Sprintf("process.rlimits: only CAP_SYS_RESOURCE raises a hard limit: %s stays at %s",
				limit.Name, rlimit.Format(allowed.Max)))
		}
		o.Limits = append(o.Limits, allowed)
	}
	return o, err
}

func rlimits(list []specs.POSIXRlimit) (limits []rlimit.Limit, err error) {
	seen := map[string]bool{}
	for i, l := range list {
		path := fmt.Sprintf("process.rlimits[%d]", i)
		limit, err := rlimit.Parse(strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")) + "=0")
		if l.Type == "RLIMIT_AS" { // which --ulimit, as Docker's, does not have
			limit, err = rlimit.Limit{Name: "as", Resource: unix.RLIMIT_AS}, nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s.type: %w", path, err)
		case seen[l.Type]:
			return nil, fmt.Errorf("%s.type: duplicate %s", path, l.Type)
		case l.Soft > l.Hard:
			return nil, fmt.Errorf("%s: the soft limit, %d, is above the hard one, %d", path, l.Soft, l.Hard)
		}
		seen[l.Type] = true
		limit.Cur, limit.Max = l.Soft, l.Hard
		limits = append(limits, limit)
	}
	return limits, nil
}

func personality(p *specs.LinuxPersonality) (*int, error) {
	if p == nil {
		return nil, nil
	}
	if len(p.Flags) > 0 {
		return nil, fmt.Errorf("linux.personality.flags: not supported")
	}
	domains := map[specs.LinuxPersonalityDomain]int{specs.PerLinux: 0, specs.PerLinux32: 8}
	domain, known := domains[p.Domain]
	if !known {
		return nil, fmt.Errorf("linux.personality.domain %q: it is LINUX or LINUX32", p.Domain)
	}
	return &domain, nil
}

var policies = map[specs.LinuxSchedulerPolicy]uint32{
	specs.SchedOther: 0, specs.SchedFIFO: 1, specs.SchedRR: 2, specs.SchedBatch: 3, specs.SchedISO: 4,
	specs.SchedIdle: 5, specs.SchedDeadline: 6,
}

var schedulerFlags = map[specs.LinuxSchedulerFlag]uint64{
	specs.SchedFlagResetOnFork: 1, specs.SchedFlagReclaim: 2, specs.SchedFlagDLOverrun: 4,
	specs.SchedFlagKeepPolicy: 8, specs.SchedFlagKeepParams: 16,
	specs.SchedFlagUtilClampMin: 32, specs.SchedFlagUtilClampMax: 64,
}

func scheduler(s *specs.Scheduler) (*unix.SchedAttr, error) {
	if s == nil {
		return nil, nil
	}
	policy, known := policies[s.Policy]
	if !known {
		return nil, fmt.Errorf("process.scheduler.policy %q: there is no such policy", s.Policy)
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Nice: s.Nice,
		Priority: uint32(s.Priority), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period}
	for i, name := range s.Flags {
		bit := schedulerFlags[name]
		if bit == 0 {
			return nil, fmt.Errorf("process.scheduler.flags[%d] %q: there is no such flag", i, name)
		}
		attr.Flags |= bit
	}
	return attr, nil
}

func ioPriority(p *specs.LinuxIOPriority) (*int, error) {
	if p == nil {
		return nil, nil
	}
	classes := map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}
	class, known := classes[p.Class]
	if !known || p.Priority < 0 || p.Priority > 7 {
		return nil, fmt.Errorf("process.ioPriority: a class of IOPRIO_CLASS_RT, BE or IDLE, and a priority from 0 to 7")
	}
	value := class<<13 | p.Priority
	return &value, nil
}

var seccompFlags = map[specs.LinuxSeccompFlag]int{
	specs.LinuxSeccompFlagLog: unix.SECCOMP_FILTER_FLAG_LOG, specs.LinuxSeccompFlagSpecAllow: unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	"SECCOMP_FILTER_FLAG_TSYNC": 0, // there is one thread
}

// Seccomp compiles linux.seccomp, nil for none, and reads the flags of seccomp(2).
func Seccomp(profile *specs.LinuxSeccomp) (code []unix.SockFilter, flags int, err error) {
	if profile == nil {
		return nil, 0, nil
	}
	if flags, err = readSeccompFlags(profile.Flags); err != nil {
		return nil, 0, err
	}
	if code, err = seccomp.Compile(profile); err != nil {
		return nil, 0, fmt.Errorf("linux.seccomp: %w", err)
	}
	return code, flags, nil
}

func readSeccompFlags(list []specs.LinuxSeccompFlag) (flags int, err error) {
	for i, name := range list {
		flag, known := seccompFlags[name]
		if !known {
			return 0, fmt.Errorf("linux.seccomp.flags[%d] %q: not supported", i, name)
		}
		flags |= flag
	}
	return flags, nil
}

// Features is what the command features prints. The namespaces are named as in /proc/PID/ns.
func Features(namespaces, caps []string) *features.Features {
	var types []string
	for _, name := range namespaces {
		types = append(types, string(typeOf(name)))
	}
	yes, no := true, false
	return &features.Features{
		OCIVersionMin: "1.0.0", OCIVersionMax: specs.Version, Hooks: hookKinds, MountOptions: optionNames(),
		Linux: &features.Linux{
			Namespaces: types, Capabilities: caps,
			Cgroup: &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &no},
			Seccomp: &features.Seccomp{Enabled: &yes,
				Actions: []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"}},
			Apparmor: &features.Apparmor{Enabled: &no}, Selinux: &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
		},
	}
}

// HookProcess returns the process of a hook that runs inside the container: the container's own
// process, except for its program, arguments and environment.
func HookProcess(spec *specs.Spec, hook specs.Hook) *specs.Process {
	process := *spec.Process
	process.Terminal, process.Env, process.Args = false, hook.Env, []string{hook.Path}
	if len(hook.Args) > 1 {
		process.Args = append(process.Args, hook.Args[1:]...)
	}
	return &process
}
