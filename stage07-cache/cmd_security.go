// The flags that restrict what the program may do, or allow it more, and their grammars.

package main

import "stagebox/stage03-rootfs/rlimit"

// Security are the flags that restrict what the program may do, or allow it more.
type Security struct {
	CapAdd      []string `help:"Add capabilities, such as NET_ADMIN or ALL." placeholder:"CAP" group:"Security:"`
	CapDrop     []string `help:"Drop capabilities, such as NET_RAW or ALL." placeholder:"CAP" group:"Security:"`
	Privileged  bool     `help:"Remove all restrictions: allow all capabilities, devices and system calls, and make /proc and /sys writable." group:"Security:"`
	SecurityOpt []string `help:"Security option: no-new-privileges, seccomp=FILE for your own profile, seccomp=unconfined for none." placeholder:"OPT" sep:"none" group:"Security:"`
	Ulimit      []string `help:"Set a resource limit, such as nofile=1024:4096; see prlimit(1)." placeholder:"NAME=SOFT[:HARD]" sep:"none" group:"Security:"`
}

// rlimits plans the --ulimit flags. A user who may not raise a hard limit gets the present one.
func (f *Security) rlimits(p *Plan) error {
	for _, spec := range f.Ulimit {
		limit, err := rlimit.Permitted(spec)
		if err != nil {
			return err
		}
		p.Prlimit(limit)
	}
	return nil
}
