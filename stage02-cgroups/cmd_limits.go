// The flags about limits and cgroups. Package units has those of the limits and refuses, before
// anything is made, limits that contradict each other or that this host cannot have.

package main

import "stagebox/stage02-cgroups/units"

// Limits are what a container may use at most.
type Limits struct{ units.Limits }

// CgroupOptions are the flags about the container's cgroup besides its limits.
type CgroupOptions struct {
	OOMScoreAdj  *units.Score `name:"oom-score-adj" help:"Preference of the OOM killer when the host runs out of memory, from -1000 (never) to 1000 (first)." placeholder:"N" group:"Limits:"`
	CgroupParent string       `help:"Existing cgroup in which to create the container's, as a path from the root of the hierarchy." placeholder:"PATH" group:"Limits:"`
}
