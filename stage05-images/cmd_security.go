// The flags that restrict what the program may do, or allow it more, and their grammars.

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage03-rootfs/capability"
	"stagebox/stage03-rootfs/rlimit"
)

// Security are the flags that restrict what the program may do, or allow it more.
type Security struct {
	CapAdd      []string `help:"Capabilities to give, such as NET_ADMIN, or ALL." placeholder:"CAP" group:"Security:"`
	CapDrop     []string `help:"Capabilities to take away, or ALL." placeholder:"CAP" group:"Security:"`
	Privileged  bool     `help:"No restrictions: all capabilities, devices and system calls, /proc and /sys to write to." group:"Security:"`
	SecurityOpt []string `help:"no-new-privileges; seccomp=FILE for a profile of your own, seccomp=unconfined for none." placeholder:"OPT" sep:"none" group:"Security:"`
	Ulimit      []string `help:"A limit of setrlimit, such as nofile=1024:4096; see prlimit." placeholder:"NAME=SOFT[:HARD]" sep:"none" group:"Security:"`
}

// securityOpts is what --security-opt says.
type securityOpts struct {
	noNewPrivs bool
	profile    string // a file, "" for the default, "unconfined"
}

func (f *Security) securityOpts() (securityOpts, error) {
	var s securityOpts
	for _, option := range f.SecurityOpt {
		name, value, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		switch {
		case name == "no-new-privileges" && (value == "" || value == "true"):
			s.noNewPrivs = true
		case name == "no-new-privileges" && value == "false":
			s.noNewPrivs = false
		case name == "seccomp" && value != "":
			s.profile = value
		default:
			return s, fmt.Errorf("--security-opt %s: there are no-new-privileges, seccomp=FILE and seccomp=unconfined", option)
		}
	}
	return s, nil
}

// capabilities is the set that the container gets, of those that box itself may give.
func (f *Security) capabilities(known capability.Set, open bool) (capability.Set, error) {
	set := capability.Default
	if open {
		set = capability.All
	}
	add, err := capability.Parse(f.CapAdd)
	if err != nil {
		return 0, fmt.Errorf("--cap-add %w", err)
	}
	drop, err := capability.Parse(f.CapDrop)
	if err != nil {
		return 0, fmt.Errorf("--cap-drop %w", err)
	}
	if add == capability.All && drop != add { // ALL, but for those that are dropped by name
		return add &^ drop & known, nil
	}
	return (set&^drop | add) & known, nil
}

// rlimits plans the --ulimit flags. A user who may not raise a hard limit gets the present one.
func (f *Security) rlimits(p *Plan) error {
	for _, spec := range f.Ulimit {
		limit, err := rlimit.Parse(spec)
		if err != nil {
			return fmt.Errorf("--ulimit %s: %w", spec, err)
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(limit.Resource, &now); err != nil {
			return fmt.Errorf("getrlimit(%s): %w", limit.Name, err)
		}
		if limit.Max > now.Max && !mayRaise() {
			fmt.Fprintf(os.Stderr, "box: --ulimit %s: only CAP_SYS_RESOURCE raises a hard limit, "+
				"and box lacks it: %s stays at %s\n", spec, limit.Name, rlimit.Format(now.Max))
			limit.Max = now.Max
			limit.Cur = min(limit.Cur, now.Max)
		}
		p.Prlimit(limit)
	}
	return nil
}
