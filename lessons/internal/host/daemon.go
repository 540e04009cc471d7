package host

import (
	"fmt"
	"strconv"
)

// enough is how many directories a daemon may want to watch: one a container.
const enough = 1000

// inotify looks at how many directories a user may watch.
func inotify(h *Host) Finding {
	most, err := strconv.Atoi(h.sysctl("fs.inotify.max_user_watches"))
	if err != nil {
		return missing("the kernel has no inotify, with which the daemon sees what happens", "")
	}
	if most < enough {
		return limited(fmt.Sprintf("a user may watch %d directories, and the daemon watches one a container", most), h.set("fs.inotify.max_user_watches", "65536"))
	}
	return fine("inotify", "the daemon sees what happens in the store")
}

// dockerCommand looks for the command that lesson 9 tries out; it can do without.
func dockerCommand(h *Host) Finding {
	if path := h.program("docker"); path != "" {
		return fine("docker", path+" can be a client of the daemon")
	}
	return Finding{}
}
