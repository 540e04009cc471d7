// The checks: what is looked at, stage by stage. Each is a name and a function that looks
// at a Host and returns one Finding; Examine asks them all and judges each stage.
package host

import (
	"fmt"
	"slices"
)

// State says how much of something there is.
type State int

// A Finding of state Silent has nothing to tell: another check has told it already.
const (
	Silent State = iota
	OK           // all there
	Less         // works, with a limit that the text tells
	No           // the stage cannot work
)

// String is the word that begins a line.
func (s State) String() string { return [...]string{"", "ok", "less", "no"}[s] }

// Finding is what a check has found.
type Finding struct {
	State State
	Brief string   // a few words for an ok among others; the name of the check if empty
	Text  string   // one sentence without its full stop
	Mend  []string // what to do, a command a line
}

// Check is one thing to look at.
type Check struct {
	Stage int // 0 for what every stage needs
	Name  string
	Look  func(*Host) Finding
}

// Checks are all there are, in the order in which they are printed.
var Checks = []Check{
	{0, "kernel", kernel},
	{0, "machine", machine},
	{0, "place", place},
	{0, "go", goTool},
	{0, "git", git},
	{0, "playground", playground},

	{1, "namespaces", newNamespaces},
	{1, "system calls", systemCalls},
	{1, "mount", mountInside},
	{1, "fresh /proc", freshProc},
	{1, "propagation", propagation},
	{1, "ordinary users", ordinaryUsers},
	{1, "subordinate ids", subordinateIDs},

	{2, "version", cgroupVersion},
	{2, "controllers", controllers},
	{2, "own group", ownGroup},
	{2, "pressure", pressure},
	{2, "swap", swapAccounting},

	{3, "pivot_root", pivotRoot},
	{3, "devpts", devpts},
	{3, "seccomp", seccomp},
	{3, "capabilities", capabilities},
	{3, "no_new_privs", noNewPrivs},
	{3, "landlock", landlock},
	{3, "tools", hostTools},

	{4, "overlay", overlay},
	{4, "overlay for ordinary users", userOverlay},
	{4, "state directory", stateDirectory},
	{4, "space", spaceFor("containers", 256<<20)},

	{5, "route", defaultRoute},
	{5, "resolver", resolver},
	{5, "proxy", proxy},
	{5, "certificates", certificates},
	{5, "credentials", credentials},

	{6, "space for builds", spaceFor("builds", 2<<30)},
	{6, "case of names", caseOfNames},
	{6, "attributes", attributes},

	{7, "clock", clock},
	{7, "locks", locks},
	{7, "reflinks", reflinks},

	{8, "veth", link("veth")},
	{8, "bridge", link("bridge")},
	{8, "nf_tables", nfTables},
	{8, "forwarding", forwarding},
	{8, "IPv6", ipv6},
	{8, "firewall", firewall},
	{8, "way out for ordinary users", userNetwork},

	{9, "inotify", inotify},
	{9, "docker command", dockerCommand},
}

// Topics are the stages' subjects; Topics[0] is the system under them.
var Topics = [...]string{"system", "namespaces", "cgroups", "rootfs", "unionfs", "images", "dockerfile", "cache", "network", "daemon"}

// foundations are the stages without which no later one can work. A host without cgroups
// still runs containers; one without namespaces, a root or layers does not.
var foundations = []int{0, 1, 3, 4}

// Stage is what this host offers to one stage.
type Stage struct {
	Number  int
	Topic   string
	Results []Result // of its checks, without the silent ones
	State   State    // the worst of them
	Lacks   int      // the earlier stage that cannot work either; -1 for none
}

func (s Stage) String() string { return fmt.Sprintf("%02d %s", s.Number, s.Topic) }

// Result is a check's name with what it found.
type Result struct {
	Name string
	Finding
}

// Examine runs all checks and returns the stages by number, the system as number 0.
func (h *Host) Examine() []Stage {
	stages := make([]Stage, len(Topics))
	for i, topic := range Topics {
		stages[i] = Stage{Number: i, Topic: topic, State: OK, Lacks: -1}
	}
	for _, check := range Checks {
		stage := &stages[check.Stage]
		if found := check.Look(h); found.State != Silent {
			stage.Results = append(stage.Results, Result{check.Name, found})
			stage.State = max(stage.State, found.State)
		}
	}
	for i := range stages {
		for _, j := range foundations {
			if j < i && stages[i].Lacks < 0 && slices.ContainsFunc(stages[j].Results, isNo) {
				stages[i].Lacks, stages[i].State = j, No
			}
		}
	}
	return stages
}

func isNo(r Result) bool { return r.State == No }

// fine is a finding of state OK.
func fine(brief, text string) Finding { return Finding{State: OK, Brief: brief, Text: text} }

// limited and missing are findings of state Less and No. An empty command is left out:
// not everything can be mended.
func limited(text string, mend ...string) Finding { return finding(Less, text, mend) }
func missing(text string, mend ...string) Finding { return finding(No, text, mend) }

func finding(state State, text string, mend []string) Finding {
	mend = slices.DeleteFunc(mend, func(command string) bool { return command == "" })
	return Finding{State: state, Text: text, Mend: mend}
}
