package buildflags

import (
	"errors"
	"fmt"
	"strings"

	"stagebox/stage03-rootfs/rlimit"
)

// checkLimits refuses the values of --shm-size and --ulimit that run refuses.
func (o Options) checkLimits() error {
	if o.ShmSize < 0 {
		return errors.New("--shm-size: give a size, such as 128m")
	}
	return rlimit.Check(o.Ulimit)
}

// RunLimits returns the --shm-size and --ulimit flags that were given, for the key of a RUN in a cache:
// a step may do something else with them. As in BuildKit, nofile=5 and nofile=5:5 are the same.
func (o Options) RunLimits() (list []struct{ Name, Value string }) {
	if o.ShmSize != 0 {
		list = append(list, struct{ Name, Value string }{"--shm-size", fmt.Sprint(int64(o.ShmSize))})
	}
	var limits []string
	for _, spec := range o.Ulimit {
		if l, err := rlimit.Parse(spec); err == nil { // Parse of all flags has refused the others
			limits = append(limits, fmt.Sprintf("%s=%s:%s", l.Name, rlimit.Format(l.Cur), rlimit.Format(l.Max)))
		}
	}
	if len(limits) > 0 {
		list = append(list, struct{ Name, Value string }{"--ulimit", strings.Join(limits, " ")})
	}
	return list
}
