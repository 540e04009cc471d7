// Package nslist lists the processes that are in other namespaces than this one. It needs no list
// of containers: a process is in another namespace when its link in /proc/PID/ns points elsewhere
// (namespaces(7)). So Docker's and other runtimes' containers show as well, and services that
// systemd has set apart. No lesson reads it.
package nslist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Write writes a table with a line for each process: its pid, the inode of its namespace of each
// kind, or a dash where it is ours too, and its command line. Hidden is the number of processes
// that do not show this user their namespaces. On a terminal a line is cut to fit, as ps(1) does it,
// but never so short that the commands are missing: then each fills two rows of it, or more.
func Write(w io.Writer, kinds []string) (hidden int, err error) {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROCESS\t"+strings.ToUpper(strings.Join(kinds, "\t"))+"\tCOMMAND")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		row, err := row(pid, kinds)
		if errors.Is(err, os.ErrPermission) {
			hidden++
		} else if row != "" {
			fmt.Fprintln(table, row)
		}
	}
	if err := table.Flush(); err != nil {
		return hidden, err
	}
	_, err = io.WriteString(w, fit(text.String(), columns(w)))
	return hidden, err
}

// columns is the width of a terminal, 0 for anything else.
func columns(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// fit cuts every line to as many rows of a terminal as the heading needs; 0 is no limit.
func fit(text string, width int) string {
	if width == 0 {
		return text
	}
	heading, _, _ := strings.Cut(text, "\n")
	width *= (utf8.RuneCountInString(heading) + width - 1) / width
	var cut strings.Builder
	for line := range strings.Lines(text) {
		if runes := []rune(strings.TrimSuffix(line, "\n")); len(runes) > width {
			line = string(runes[:width-1]) + "…\n"
		}
		cut.WriteString(line)
	}
	return cut.String()
}

// row is a line of the table, empty for a process that shares all our namespaces.
func row(pid int, kinds []string) (string, error) {
	cells, differs := []string{strconv.Itoa(pid)}, false
	for _, kind := range kinds {
		ours, _ := os.Readlink("/proc/self/ns/" + kind) // "" where the kernel has no such kind
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		switch {
		case err != nil && ours != "":
			return "", err
		case ours == theirs:
			cells = append(cells, "-")
		default:
			differs = true
			cells = append(cells, strings.Trim(theirs[len(kind):], ":[]"))
		}
	}
	if !differs {
		return "", nil
	}
	return strings.Join(append(cells, Command(pid)), "\t"), nil
}

// Command is the command line of a process, or its name in brackets when it has none. Both are the
// process's to choose, and might be commands for the terminal: what cannot be printed becomes "?".
func Command(pid int) string {
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

// Sharing are the numbers of the processes that are in the same namespace of a kind as a process,
// itself among them. Those that the caller may not look at are left out.
func Sharing(pid int, kind string) (pids []int) {
	ours, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	links, _ := filepath.Glob("/proc/[0-9]*/ns/" + kind)
	for _, link := range links {
		if theirs, err := os.Readlink(link); err == nil && theirs == ours {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// LeftOut says how many processes a table lacks because their namespaces could not be read.
func LeftOut(hidden int) string {
	if hidden == 1 {
		return "1 process left out: its namespaces could not be read"
	}
	return fmt.Sprintf("%d processes left out: their namespaces could not be read", hidden)
}
