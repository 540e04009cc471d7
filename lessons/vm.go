package main

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/vm"
)

// vmCmd runs a program of one's own in the machine.
type vmCmd struct {
	Memory int      `help:"Memory of the virtual machine, in MiB." default:"1024"`
	File   []string `help:"File to copy to the same path in the virtual machine." placeholder:"PATH"`
	Argv   []string `arg:"" name:"command" help:"Static program to run, followed by its arguments; busybox's sh and other tools are available." passthrough:"partial"`
}

// Run ends with the program's status.
func (c *vmCmd) Run() error {
	if len(c.Argv) > 1 && c.Argv[0] == "--" {
		c.Argv = c.Argv[1:]
	}
	job := vm.Job{Command: c.Argv, Memory: c.Memory}
	for _, path := range append(c.File, c.Argv[0]) {
		if abs, err := filepath.Abs(path); err == nil && filepath.IsAbs(abs) && isFile(abs) {
			job.Files = append(job.Files, vm.File{From: abs, To: abs})
			if path == c.Argv[0] {
				job.Command[0] = abs
			}
		}
	}
	if err := c.checkLoader(job.Command[0]); err != nil {
		return err
	}
	return inMachine(job)
}

// checkLoader refuses a program whose loader is missing: the kernel would say that there is no such
// file, and mean the loader.
func (c *vmCmd) checkLoader(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return nil // a script, or a program of the machine's
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(p.Open())
		if loader := strings.TrimRight(string(name), "\x00"); err != nil || !slices.Contains(c.File, loader) {
			return fmt.Errorf("%s is linked dynamically, and the machine has no %s and no libraries: "+
				"build it statically, with CGO_ENABLED=0 or -static", path, loader)
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// exitError is a status to leave with, when all has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func inMachine(job vm.Job) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	status, err := job.Run(ctx, os.Stdout)
	if err == nil && status != 0 {
		err = exitError(status)
	}
	return err
}

// checkInMachine takes this workbench and a binary into the machine, and checks it there.
func (c *checkCmd) checkInMachine(ctx context.Context, binary string) error {
	dir, err := os.MkdirTemp("", "stagebox-build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := stages.Root()
	if err != nil {
		return err
	}
	workbench := filepath.Join(dir, "lessons")
	if err := stages.Workbench(ctx, root, workbench); err != nil {
		return err
	}
	job := vm.Job{Memory: 1024, Files: []vm.File{{From: workbench, To: "/bin/lessons"}, {From: binary, To: "/bin/box"}}}
	for _, name := range []string{"ip", "bash"} { // busybox has neither cables nor /dev/tcp
		files, err := vm.Program(name, "/usr/local/bin/"+name)
		if err != nil {
			return err
		}
		job.Files = append(job.Files, files...)
	}
	job.Command = append([]string{"/bin/lessons", "check"}, c.flags()...)
	job.Command = append(job.Command, fmt.Sprint(c.Stage), "/bin/box")
	return inMachine(job)
}

// flags are this check's flags, for the one inside.
func (c *checkCmd) flags() (list []string) {
	for flag, set := range map[string]bool{"--verbose": c.Verbose, "--slow": c.Slow, "--no-controls": c.NoControls} {
		if set {
			list = append(list, flag)
		}
	}
	if c.Only != "" {
		list = append(list, "--only="+c.Only)
	}
	if c.Jobs > 0 {
		list = append(list, fmt.Sprintf("--jobs=%d", c.Jobs))
	}
	return list
}
