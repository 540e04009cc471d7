package runtimestate

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func TestWhatMayBeDone(t *testing.T) {
	for status, want := range map[specs.ContainerState][4]string{
		specs.StateCreated: {"", "", "", "container not paused"},
		specs.StateRunning: {"cannot start an already running container", "", "", "container not paused"},
		Paused:             {"cannot start an already running container", "cannot exec in a paused container: resume it first", "container not running: it is paused", ""},
		specs.StateStopped: {"cannot start a container that has stopped", "cannot exec in a stopped container", "container not running: it is stopped", "container not paused"},
	} {
		s := &State{State: specs.State{Status: status}}
		for i, err := range []error{s.MayStart(), s.MayExec(), s.MayFreeze(true, true), s.MayFreeze(false, true)} {
			if want[i] == "" {
				require.NoError(t, err, status)
			} else {
				require.EqualError(t, err, want[i], status)
			}
		}
	}
}

func TestAFreezerIsNeeded(t *testing.T) {
	running, paused := &State{State: specs.State{Status: specs.StateRunning}}, &State{State: specs.State{Status: Paused}}
	require.ErrorContains(t, running.MayFreeze(true, false), "pause needs a cgroup tree of version 2")
	require.ErrorContains(t, paused.MayFreeze(false, false), "pause needs a cgroup tree of version 2")
}
