package verify

// budget is what a stage may add and change, under its topic. How much, targets.go says.
type budget struct {
	adds    []string        // new files; each may have a test of its own
	edits   map[string]edit // files of the stage before that it may change
	imports []string        // packages outside the standard library that it brings
}

// edit is how many lines of a file a stage may add and remove.
type edit struct{ added, removed int }

// testEdit is what every stage may do to the tests of the stages before.
var testEdit = edit{60, 20}

// testImports are for tests of any stage.
var testImports = []string{"github.com/stretchr/testify/require", "golang.org/x/sys/unix",
	"stagebox/lessons/boxtest",          // whose keeper ends what tests leave
	"github.com/distribution/reference"} // whose grammar of names ours has to be

const longest = 60 // lines of a function

var budgets = map[string]budget{
	"namespaces": {
		imports: []string{"github.com/alecthomas/kong", "golang.org/x/sys/unix"},
	},
	"cgroups": {
		adds: []string{"cgroups.go", "limits.go", "usage.go", "control.go", "oom.go", "cmd_limits.go", "cmd_control.go", "cmd_stats.go"},
		edits: map[string]edit{"main.go": {8, 4}, "container.go": {12, 0}, "exec.go": {3, 0},
			"cmd_info.go": {1, 0}, "plan.go": {5, 1}},
	},
	"rootfs": {
		adds: []string{"rootfs.go", "mounts.go", "binds.go", "devices.go", "guard.go", "console.go", "users.go", "hardening.go",
			"seccomp.go", "init.go", "self.go", "names.go", "cmd_rootfs.go", "cmd_files.go", "cmd_binds.go", "cmd_process.go", "cmd_security.go"},
		edits: map[string]edit{"main.go": {5, 4}, "container.go": {45, 6}, "exec.go": {12, 0}, "plan.go": {13, 0},
			"namespaces.go": {1, 1}, "cgroups.go": {1, 0}},
		imports: []string{"github.com/moby/profiles/seccomp", "github.com/opencontainers/runtime-spec/specs-go", "golang.org/x/term"},
	},
	"unionfs": {
		adds: []string{"overlay.go", "store.go", "containers.go", "monitor.go", "volumes.go", "changes.go", "guest.go", "shell_test.go",
			"cmd_store.go", "cmd_damaged.go", "cmd_ps.go", "cmd_inspect.go", "cmd_start.go", "cmd_logs.go", "cmd_changes.go", "cmd_volume.go", "cmd_guest.go", "cmd_attach.go", "cmd_top.go", "cmd_cp.go", "cp.go", "restarts.go", "cmd_restart.go", "join.go", "cmd_join.go", "cmd_control_test.go"},
		edits: map[string]edit{"main.go": {24, 4}, "container.go": {20, 2}, "plan.go": {14, 0}, "exec.go": {28, 6}, "namespaces.go": {3, 0}, "devices.go": {6, 1},
			"hardening.go": {1, 1}, "console.go": {10, 1}, "rootfs.go": {8, 6}, "binds.go": {5, 0}, "cmd_binds.go": {12, 2}, "users.go": {5, 9},
			"cmd_exec.go":    {41, 2},
			"cmd_control.go": {81, 18}, "cmd_stats.go": {8, 2}, "cgroups.go": {3, 0}},
		imports: []string{"github.com/go-json-experiment/json", "github.com/go-json-experiment/json/jsontext", "github.com/go-json-experiment/json/v1"},
	},
	"images": {
		adds: []string{"cmd_images.go", "cmd_pull.go", "cmd_from.go", "cmd_archives.go", "cmd_inside.go", "layers.go",
			"layout.go", "pull.go", "archives.go", "commit.go", "from.go",
			"bundle.go", "process.go", "cmd_bundle.go", "cmd_runtime.go", "cmd_lifecycle.go", "cmd_hooks.go", "cmd_makebundle.go"},
		edits: map[string]edit{"cmd_binds.go": {1, 1}, "volumes.go": {11, 0}, "binds.go": {5, 0}, "main.go": {27, 5}, "container.go": {4, 1}, "containers.go": {16, 0}, "store.go": {3, 0}, "cmd_ps.go": {8, 2},
			"monitor.go": {1, 1}, "cmd_restart.go": {1, 1}, "cmd_inspect.go": {12, 6}, "cmd_changes.go": {8, 1}, "cmd_store.go": {8, 1}, "exec.go": {1, 0}},
		imports: []string{"github.com/opencontainers/go-digest", "github.com/opencontainers/image-spec/specs-go", "github.com/opencontainers/image-spec/specs-go/v1",
			"github.com/klauspost/compress/flate", "github.com/klauspost/compress/gzip", "github.com/klauspost/compress/zstd",
			"golang.org/x/sync/errgroup", "github.com/opencontainers/runtime-spec/specs-go/features"},
	},
	"dockerfile": {
		adds: []string{"build.go", "instructions.go", "buildrun.go", "buildmounts.go", "copy.go", "add.go", "health.go",
			"cmd_build.go", "cmd_output.go", "cmd_change.go", "cmd_health.go",
			"builds_test.go", "buildcase_test.go", "buildimage_test.go"},
		edits: map[string]edit{"archives.go": {7, 2}, "cmd_archives.go": {3, 1}, "cmd_changes.go": {2, 0}, "cmd_store.go": {6, 1}, "commit.go": {3, 0}, "from.go": {4, 1},
			"main.go": {4, 4}, "containers.go": {8, 0}, "monitor.go": {4, 0}, "cmd_process.go": {3, 0}, "container.go": {8, 0},
			"cmd_inspect.go": {5, 1}, "cmd_ps.go": {3, 0}, "cmd_inside.go": {4, 1}},
		imports: []string{"github.com/moby/patternmatcher", "github.com/moby/patternmatcher/ignorefile",
			"github.com/moby/buildkit/frontend/dockerfile/shell"},
	},
	"cache": {
		adds: []string{"cache.go", "reasons.go", "checksum.go", "download.go", "cmd_cache.go", "cmd_prune.go"},
		edits: map[string]edit{"main.go": {5, 3}, "cmd_build.go": {5, 0}, "build.go": {29, 6}, "instructions.go": {1, 1}, "add.go": {1, 1},
			"layout.go": {10, 0}},
	},
	"network": {
		adds: []string{"netlink.go", "bridge.go", "networks.go", "nat.go", "ports.go", "resolver.go", "pasta.go", "wiring.go", "connect.go", "cmd_connect.go", "cmd_picture.go",
			"cmd_network.go", "cmd_port.go", "cmd_endpoint.go", "cmd_completion.go", "flows.go", "store_test.go", "everyday_test.go", "cable.go"},
		edits: map[string]edit{"main.go": {8, 4}, "container.go": {13, 0}, "namespaces.go": {3, 0}, "rootfs.go": {0, 1}, "names.go": {7, 35}, "containers.go": {7, 0}, "store.go": {3, 0}, "cmd_store.go": {5, 1},
			"cmd_inspect.go": {8, 5}, "cmd_ps.go": {8, 2}, "cmd_stats.go": {1, 1}, "cmd_start.go": {3, 0}, "usage.go": {4, 0}, "buildrun.go": {6, 7}, "cmd_build.go": {5, 1}, "cache.go": {1, 1}},
		imports: []string{"golang.org/x/net/dns/dnsmessage"},
	},
	"daemon": {
		adds: []string{"server.go", "router.go", "job.go", "attach.go", "events.go", "handlers_life.go", "handlers_exec.go",
			"cmd_daemon.go", "cmd_handlers_look.go", "cmd_handlers_images.go", "cmd_handlers_networks.go", "cmd_handlers_system.go", "cmd_handlers_remote.go", "compat_test.go", "record_test.go"},
		edits: map[string]edit{"main.go": {9, 6}},
	},
}
