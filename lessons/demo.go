package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"stagebox/lessons/internal/stages"
)

// demoCmd is the tour that the README starts with.
type demoCmd struct{}

// scene is one thing to see: a sentence, and what is typed at a shell.
type scene struct{ says, typed string }

var scenes = []scene{
	{"What this host offers to containers:",
		"box info"},
	{"A command in namespaces of its own has another host name, is process 1, and sees no process but its own:",
		"box run sh -c 'hostname; echo $$; echo /proc/[0-9]*'"},
	{"It has a network of its own too, in which there is nothing but loopback:",
		"box run tail -n +3 /proc/net/dev"},
	{"A root is only files. This one is made of copies of your own programs, and root in it can do little:",
		"box rootfs tiny && box run --rootfs tiny sh -c 'ls -C /; id -un; mount -t tmpfs none /tmp; grep CapEff /proc/self/status'"},
	{"Every system call that made it, and why. `host│` is box, `box │` is the container:",
		"box run --explain true"},
	{"A second command joins a container that runs; box lsns finds it by its namespaces alone:",
		"box run sleep 100 & until pid=$(pgrep -x -P $! sleep); do :; done; box lsns | grep -w $pid; box exec $pid hostname; kill $!; wait $!; :"},
}

// Run builds the last stage and plays the scenes with it.
func (demoCmd) Run() error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	last := all[len(all)-1]
	dir, err := os.MkdirTemp("", "stagebox-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("Building %s: go build -o box ./%s\n", last.Name(), last.Name())
	if err := last.Build(ctx, filepath.Join(dir, "box")); err != nil {
		return err
	}
	for _, s := range scenes {
		if err := s.play(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("\nNow read %s, or build it yourself: go build -o box ./%s\n", all[0].Lesson(), last.Name())
	return nil
}

// play shows what is typed, runs it, and lets it speak for itself.
func (s scene) play(ctx context.Context, dir string) error {
	fmt.Printf("\n%s\n\n$ %s\n", s.says, s.typed)
	cmd := exec.CommandContext(ctx, "sh", "-c", s.typed)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w; go run ./lessons doctor may know why", s.typed, err)
	}
	return nil
}
