package runtimestate

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

func TestWhatMayBeDone(t *testing.T) {
	for status, want := range map[specs.ContainerState][2]string{
		specs.StateCreated: {"", ""},
		specs.StateRunning: {"cannot start an already running container", ""},
		Paused:             {"cannot start an already running container", "cannot exec in a paused container: resume it first"},
		specs.StateStopped: {"cannot start a container that has stopped", "cannot exec in a stopped container"},
	} {
		s := &State{State: specs.State{Status: status}}
		for i, err := range []error{s.MayStart(), s.MayExec()} {
			if want[i] == "" {
				require.NoError(t, err, status)
			} else {
				require.EqualError(t, err, want[i], status)
			}
		}
	}
}
