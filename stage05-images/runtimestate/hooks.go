package runtimestate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// statuses are what a container is called while hooks of a kind run.
var statuses = map[string]specs.ContainerState{"startContainer": specs.StateCreated,
	"poststart": specs.StateRunning, "poststop": specs.StateStopped}

// Input returns a file in memory with the state, for the standard input of a hook. kind is that of
// the hook, such as poststop.
func Input(kind string, shown specs.State) (*os.File, error) {
	shown.Version, shown.Status = specs.Version, cmp.Or(statuses[kind], specs.StateCreating)
	if kind == "poststop" {
		shown.Pid = 0
	}
	data, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "state")
	if _, err = file.Write(data); err == nil {
		_, err = file.Seek(0, 0)
	}
	return file, err
}

// RunPlan runs the process of a plan to its end, or until its seconds are up: nil for no limit.
func RunPlan(p *plan.Plan, seconds *int) error {
	process, err := (&plan.Narration{}).Start(p)
	if err != nil {
		return err
	}
	if seconds != nil {
		limit := time.Duration(*seconds) * time.Second
		defer time.AfterFunc(limit, func() { unix.Kill(process.PID, unix.SIGKILL) }).Stop()
	}
	var ended plan.ExitStatus
	if err := process.Wait(); !errors.As(err, &ended) || ended != 0 {
		return err
	}
	return nil
}

// RunHook runs a hook in a directory to its end, or until its time is up.
func RunHook(hook specs.Hook, dir string, input *os.File) error {
	ctx := context.Background()
	if hook.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, time.Duration(*hook.Timeout)*time.Second)
		defer cancel()
		ctx = limited
	}
	command := exec.CommandContext(ctx, hook.Path)
	command.Dir = dir
	if len(hook.Args) > 0 {
		command.Args = hook.Args
	}
	command.Env, command.Stdin, command.Stdout = append([]string{}, hook.Env...), input, os.Stdout
	command.Stderr, command.WaitDelay = os.Stderr, time.Second
	return command.Run()
}
