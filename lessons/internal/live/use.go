// What processes use, added up from /proc/PID/stat, for boxes whose group does not tell: they
// have none of their own, or its controller is not switched on. proc_pid_stat(5).
package live

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is how many a second the times in stat have on every Linux: USER_HZ.
const ticks = 100

// pageSize in bytes, in which stat counts memory.
var pageSize = int64(os.Getpagesize())

// addUp fills in what is missing, and says what that was.
func (r Roots) addUp(g *group, use *Figures) (counted []string) {
	counted = []string{}
	if use.Memory != nil && use.CPU != nil && use.PIDs != nil {
		return counted
	}
	var memory, cpu, tasks int64
	for _, pid := range g.pids {
		f := r.stat(pid)
		if len(f) < 22 {
			continue
		}
		cpu += (number(f[11]) + number(f[12])) * 1_000_000 / ticks
		tasks += number(f[17])
		memory += number(f[21]) * pageSize
	}
	fill := func(at **int64, value int64, name string) {
		if *at == nil {
			*at, counted = &value, append(counted, name)
		}
	}
	fill(&use.Memory, memory, "memory")
	fill(&use.CPU, cpu, "cpu")
	fill(&use.PIDs, tasks, "pids")
	return counted
}

// stat are the fields after the command, which is in parentheses and can hold anything: the
// first is the state, field 3 of the manual.
func (r Roots) stat(pid int) []string {
	data, _ := os.ReadFile(filepath.Join(r.Proc, strconv.Itoa(pid), "stat"))
	text := string(data)
	return strings.Fields(text[strings.LastIndex(text, ")")+1:])
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// cores counts the processors in /proc/stat.
func (r Roots) cores() (n int) {
	for _, line := range r.lines("", "stat") {
		if strings.HasPrefix(line, "cpu") && !strings.HasPrefix(line, "cpu ") {
			n++
		}
	}
	return n
}

// memory of the machine, in bytes; meminfo counts in KiB.
func (r Roots) memory() int64 {
	for _, line := range r.lines("", "meminfo") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			return number(f[1]) * 1024
		}
	}
	return 0
}
