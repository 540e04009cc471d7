// The recorder of what BuildKit builds: it starts BuildKit's daemon, of this module's own
// version, and has the tests of the Dockerfile stage write down what comes of their cases
// (testdata/builds/*.json). It needs root and runc. Run it in this module's directory:
// go run ./builds
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stage    = "../../stage06-dockerfile"
	commands = "github.com/moby/buildkit/cmd/"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := record(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "builds:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "buildkit")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := tool(ctx, ".", "go", "build", "-o", dir, commands+"buildkitd", commands+"buildctl"); err != nil {
		return err
	}
	address := "unix://" + filepath.Join(dir, "socket")
	stop, err := start(dir, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	buildctl := filepath.Join(dir, "buildctl") + " --addr " + address
	return tool(ctx, stage, "go", "test", "-count=1", "-timeout", "30m", "-run", "^TestBuildsAreBuildKits$", ".", "-record", buildctl)
}

// start starts the daemon, and waits until it answers.
func start(dir, address string) (stop func() error, err error) {
	daemon := exec.Command(filepath.Join(dir, "buildkitd"), "--root", filepath.Join(dir, "root"), "--addr", address, "--oci-worker-net", "host",
		"--oci-worker-snapshotter", "overlayfs", "--allow-insecure-entitlement", "network.host", "--allow-insecure-entitlement", "security.insecure")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		err := daemon.Process.Signal(unix.SIGTERM)
		if end := daemon.Wait(); !errors.As(end, new(*exec.ExitError)) { // it ends with status 1 when it is told to end
			err = errors.Join(err, end)
		}
		return err
	}
	for range 100 {
		if exec.Command(filepath.Join(dir, "buildctl"), "--addr", address, "debug", "workers").Run() == nil {
			return stop, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	said, err := os.ReadFile(filepath.Join(dir, "log"))
	return nil, errors.Join(fmt.Errorf("buildkitd does not answer: %s", said), err, stop())
}

// tool runs a program in a directory, and shows what it says.
func tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return nil
}
