package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Processes is the kernel's parameter that says how often the list of processes goes to the
// console: that is what is left of a machine that hangs.
const Processes = "stagebox.processes="

func listProcesses(every time.Duration) {
	for range time.Tick(every) {
		fmt.Print(processList("/proc"))
	}
}

// processList has a line for each process: its number, its state, the function of the kernel in
// which it sleeps (proc_pid_wchan(5)), and its command line. The kernel's own threads have no
// command line and are left out.
func processList(proc string) string {
	var list strings.Builder
	dirs, _ := filepath.Glob(filepath.Join(proc, "[1-9]*")) // the pattern is well formed
	for _, dir := range dirs {
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // the process may have just ended
		if len(command) == 0 {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
		_, state, _ := strings.Cut(string(stat), ") ")
		sleeps, _ := os.ReadFile(filepath.Join(dir, "wchan"))
		fmt.Fprintf(&list, "%s %.1s %s %s\n", filepath.Base(dir), state, sleeps,
			strings.ReplaceAll(strings.Trim(string(command), "\x00"), "\x00", " "))
	}
	return list.String()
}
