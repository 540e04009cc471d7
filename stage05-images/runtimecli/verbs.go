package runtimecli

import (
	"errors"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage05-images/runtimespec"
)

// BundleOptions are the flags of create and run.
type BundleOptions struct {
	Bundle string `short:"b" help:"Directory of the bundle, which holds config.json." default:"." placeholder:"DIR"`

	HandOver

	NoPivot      bool `hidden:""`
	NoNewKeyring bool `hidden:""`
	NoSubreaper  bool `hidden:""`

	Options
}

// Load reads and checks the bundle (runtimespec.Load), and returns its absolute path. It returns
// an error for a terminal as CheckConsole does. waits is true for create, whose container waits
// for start after the command has ended.
func (o *BundleOptions) Load(waits bool) (dir string, spec *specs.Spec, err error) {
	if o.NoPivot {
		return "", nil, errors.New("--no-pivot: not supported: a process can escape from a chroot")
	}
	if dir, err = filepath.Abs(o.Bundle); err != nil {
		return "", nil, err
	}
	if spec, err = runtimespec.Load(dir); err != nil {
		return "", nil, err
	}
	return dir, spec, o.CheckConsole(spec.Process.Terminal, waits)
}

// CheckConsole returns an error if the process has a terminal that nothing would serve, because
// the command ends first (waits) and no --console-socket is given, or if that flag is given
// without a terminal.
func (o *BundleOptions) CheckConsole(terminal, waits bool) error {
	switch {
	case terminal && waits && o.ConsoleSocket == "":
		return errors.New("process.terminal: cannot allocate a terminal without --console-socket, " +
			"as box does not stay to hold it")
	case !terminal && o.ConsoleSocket != "":
		return errors.New("--console-socket: process.terminal is false, so there is no terminal to send")
	}
	return nil
}

// Create has the argument and the flags of create.
type Create struct {
	ID string `arg:"" name:"container" help:"Name for the container."`

	BundleOptions
}

// CreateAndStart has the argument and the flags of run.
type CreateAndStart struct {
	ID     string `arg:"" name:"container" help:"Name for the container."`
	Detach bool   `short:"d" help:"Run the container in the background."`
	Keep   bool   `help:"Do not delete the container when it exits."`

	BundleOptions

	plan.Narration
}

// One has the argument of a command for one container, which has no flags of its own.
type One struct {
	ID string `arg:"" name:"container" help:"Name of the container."`

	Options
}

// Delete has the argument and the flags of delete.
type Delete struct {
	ID    string `arg:"" name:"container" help:"Name of the container."`
	Force bool   `short:"f" help:"Kill the container first if it runs; succeed if there is none."`

	Options
}

// Kill has the arguments and the flags of kill.
type Kill struct {
	ID     string `arg:"" name:"container" help:"Name of the container."`
	Signal string `arg:"" name:"signal" optional:"" default:"TERM" help:"Signal to send, by name or number."`
	All    bool   `short:"a" help:"Send the signal to all processes of the container."`

	Options
}

// List has the flags of list.
type List struct {
	Format string `short:"f" help:"Output format: table or json." enum:"table,json" default:"table"`
	Quiet  bool   `short:"q" help:"Print only names."`

	Options
}

// Ps has the arguments and the flags of ps.
type Ps struct {
	ID     string   `arg:"" name:"container" help:"Name of the container."`
	Args   []string `arg:"" optional:"" passthrough:"" help:"Arguments of ps(1)."`
	Format string   `short:"f" help:"Output format: table or json." enum:"table,json" default:"table"`

	Options
}

// Exec has the flags of exec.
type Exec struct {
	ProcessOptions

	HandOver

	Detach bool `short:"d" help:"Run the process in the background."`

	Options
}
