package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

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
