package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// PS returns what ps(1) of the host prints, with -ef if there are no options.
func PS(options []string) (string, error) {
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	out, err := exec.Command("ps", options...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "", fmt.Errorf("ps %s: %s", strings.Join(options, " "), first)
	}
	if err != nil {
		return "", fmt.Errorf("ps, a program of the host: %w", err)
	}
	return string(out), nil
}

// Processes prints the lines of ps that are about some processes, in columns.
func Processes(w io.Writer, list string, pids []int) error {
	lines := strings.Split(strings.TrimSpace(list), "\n")
	titles := strings.Fields(lines[0])
	place := slices.Index(titles, "PID")
	if place < 0 {
		return errors.New("the options of ps leave out the column PID: box needs it to know the container's processes")
	}
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(table, strings.Join(titles, "\t"))
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) <= place {
			continue
		}
		if pid, err := strconv.Atoi(cells[place]); err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if last := len(titles) - 1; len(cells) > last { // a command line with blanks
			cells = append(cells[:last:last], strings.Join(cells[last:], " "))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	table.Flush()
	_, err := out.WriteTo(w)
	return err
}
