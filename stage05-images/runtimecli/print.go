package runtimecli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"stagebox/stage05-images/runtimestate"
)

// PrintJSON prints a value as indented JSON.
func PrintJSON(value any) error {
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// PrintList prints containers as list does: as JSON, by their names alone, or as a table.
func PrintList(list []*runtimestate.State, asJSON, quiet bool) error {
	if asJSON {
		shown := []runtimestate.Shown{}
		for _, s := range list {
			shown = append(shown, s.Shown())
		}
		return PrintJSON(shown)
	}
	if !quiet {
		fmt.Printf("%-20s %-8s %-10s %-30s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED")
	}
	for _, s := range list {
		if quiet {
			fmt.Println(s.ID)
			continue
		}
		fmt.Printf("%-20s %-8d %-10s %-30s %s\n", s.ID, s.Shown().Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339))
	}
	return nil
}

// PrintProcesses prints the numbers of processes as JSON, or has ps(1) print its table of them.
func PrintProcesses(pids []int, asJSON bool, args []string) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(pids)
	}
	words := make([]string, len(pids))
	for i, pid := range pids {
		words[i] = strconv.Itoa(pid)
	}
	if len(args) == 0 {
		args = []string{"-f"}
	}
	ps := exec.Command("ps", append(args, "-p", strings.Join(words, ","))...)
	ps.Stdout, ps.Stderr = os.Stdout, os.Stderr
	return ps.Run()
}

// PrintVersion prints the version in the lines that engines read.
func PrintVersion(version string) error {
	_, err := fmt.Printf("box version %s\nspec: %s\ngo: %s\n", version, specs.Version, runtime.Version())
	return err
}
