// box lsns finds containers without a list of them: a process is in a container when the
// links in its /proc/PID/ns point elsewhere than ours. Docker's and other runtimes'
// containers show as well, and so do services that systemd has set apart.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

type lsnsCmd struct{}

// Run is `box lsns`. A namespace that is ours too is shown as a dash.
func (lsnsCmd) Run() error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PID\t"+strings.ToUpper(strings.ReplaceAll(kindNames(), ", ", "\t"))+"\tCOMMAND")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	hidden := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		row, err := row(pid)
		if errors.Is(err, os.ErrPermission) {
			hidden++
		} else if row != "" {
			fmt.Fprintln(table, row)
		}
	}
	if hidden > 0 {
		defer fmt.Fprintf(os.Stderr, "box: left out, because they do not show this user their namespaces: %d\n", hidden)
	}
	return table.Flush()
}

// row is a line of the table, empty for a process that shares all our namespaces.
func row(pid int) (string, error) {
	cells, differs := []string{strconv.Itoa(pid)}, false
	for _, k := range kinds {
		ours, _ := os.Readlink("/proc/self/ns/" + k.name) // "" where the kernel has no such kind
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, k.name))
		switch {
		case err != nil && ours != "":
			return "", err
		case ours == theirs:
			cells = append(cells, "-")
		default:
			differs = true
			cells = append(cells, strings.Trim(theirs[len(k.name):], ":[]"))
		}
	}
	if !differs {
		return "", nil
	}
	return strings.Join(append(cells, commandOf(pid)), "\t"), nil
}

// commandOf is the command line of a process, or its name in brackets when it has none.
// Both are the process's to choose: what cannot be printed could be meant for the terminal.
func commandOf(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty once it has ended
	text := strings.ReplaceAll(string(line), "\x00", " ")
	if text == "" {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		text = "[" + strings.TrimSpace(string(name)) + "]"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text))
}
