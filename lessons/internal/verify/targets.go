package verify

import "stagebox/lessons/internal/stages"

// target is how many lines a stage may add to its two flat tiers. Comments are counted, tests
// are not. An issue that adds a capability raises its stage's row by what it adds.
type target struct{ lesson, commands int }

var targets = map[string]target{
	"namespaces": {450, 135},
	"cgroups":    {758, 185},
	"rootfs":     {1530, 172},
	"unionfs":    {1748, 1446},
	"images":     {1435, 1375},
	"dockerfile": {1370, 295},
	"cache":      {710, 240},
	"network":    {1830, 480},
	"daemon":     {1500, 1300},
}

// tolerance is how much more than its target a tier may have, in per cent.
const tolerance = 10

// exception is a tier that is larger than its target, and why that is right for now.
type exception struct {
	topic  string
	tier   stages.Tier
	lines  int // the most; it is lowered as the tier shrinks, and goes when the target is met
	reason string
}

var exceptions []exception

// widest is how many columns a line of the lesson tier may have; a tab is as wide as four.
const widest = 100

// everyday are calls that the lessons show and that any program may make: what is said of
// them there is what they are made for.
var everyday = []string{"chdir", "close", "execve", "faccessat", "ioctl", "pread64", "read", "rt_sigprocmask", "setpgid", "socket",
	"socketpair", "write"}

// shown are calls that a lesson is about and that its transcripts do not show in full.
var shown = []string{"capset", "chroot", "fsmount", "mount_setattr", "move_mount", "open_tree", "setdomainname", "seccomp"}

// caller is the tool that makes the calls of a plan.
const caller = "plan"

// composing are packages with which a tool can say what to write to a file, and write none.
var composing = []string{"cmp", "errors", "fmt", "maps", "math", "slices", "strconv", "strings",
	"github.com/opencontainers/runtime-spec/specs-go", "stagebox/stage02-cgroups/units"}
