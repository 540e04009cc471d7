package behave

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is what the kernel says: /proc, opened before any binary has run, because one
// that misbehaves may mount another over the path. Paths are relative to it. A file that cannot
// be read is returned as the error's text, which is then what a check saw.
type kernel struct {
	proc    *os.Root
	procDir *os.File // the same directory
}

// host is this thread in /proc, in whose namespaces the binary is run.
const host = "thread-self"

func openKernel() (kernel, error) {
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return kernel{}, err
	}
	dir, err := proc.Open(".")
	return kernel{proc, dir}, err
}

// text is the content of a file.
func (k kernel) text(path string) string {
	data, err := k.proc.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// namespace is a process's namespace of one kind, such as "uts:[4026531838]".
func (k kernel) namespace(process, kind string) string {
	link, err := k.proc.Readlink(process + "/ns/" + kind)
	if err != nil {
		return err.Error()
	}
	return link
}

// namespaces is the list of them all, a line each.
func (k kernel) namespaces(process string) string {
	var lines []string
	for _, name := range k.names(process + "/ns") {
		lines = append(lines, name+" "+k.namespace(process, name))
	}
	return strings.Join(lines, "\n")
}

// names is the content of a directory, sorted.
func (k kernel) names(path string) []string {
	entries, err := fs.ReadDir(k.proc.FS(), path)
	if err != nil {
		return []string{err.Error()}
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

// status is a line of /proc/PID/status, without the field's name.
func (k kernel) status(process, field string) string {
	text := k.text(process + "/status")
	_, rest, ok := strings.Cut("\n"+text, "\n"+field+":")
	if !ok {
		return text
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Join(strings.Fields(line), " ")
}

// mounted reports whether something is mounted on dir, as the process sees it.
func (k kernel) mounted(process, dir string) string {
	escaped := strings.ReplaceAll(dir, " ", `\040`)
	for line := range strings.Lines(k.text(process + "/mountinfo")) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == escaped {
			return "mounted"
		}
	}
	return "not mounted"
}

// process is a line of /proc/PID/stat, as far as it is needed.
type process struct{ pid, parent, session int }

// processes are those that run; one that has ended and was not waited for yet is not counted.
func (k kernel) processes() ([]process, error) {
	var all []process
	buffer := make([]byte, 4096)
	for _, name := range k.names(".") {
		if _, err := strconv.Atoi(name); err != nil {
			continue // not a process
		}
		line, err := k.stat(name, buffer)
		if err != nil {
			continue // it has ended meanwhile
		}
		p, state, err := parseStat(string(line))
		if err != nil {
			return nil, err
		}
		if state != "Z" && state != "X" {
			all = append(all, p)
		}
	}
	return all, nil
}

// stat reads the line of a process. os.Root would open each directory on the way, which takes a
// good part of the suite's time: every check looks at all processes several times.
func (k kernel) stat(pid string, buffer []byte) ([]byte, error) {
	fd, err := unix.Openat(int(k.procDir.Fd()), pid+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buffer)
	return buffer[:max(0, n)], err
}

// parseStat reads `PID (name) STATE PARENT GROUP SESSION …`; the name may hold anything.
func parseStat(line string) (p process, state string, err error) {
	end := strings.LastIndexByte(line, ')')
	number, _, _ := strings.Cut(line, " ")
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) < 4 {
		return p, "", fmt.Errorf("%q is not a line of proc_pid_stat(5)", line)
	}
	for i, field := range []*int{&p.pid, &p.parent, &p.session} {
		n, errNumber := strconv.Atoi([]string{number, fields[1], fields[3]}[i])
		*field, err = n, errors.Join(err, errNumber)
	}
	return p, fields[0], err
}

// leaving reports whether a process may be about to end: it has been killed, is ending, or runs
// and may do anything. One that waits for something, and was not killed, lives on.
func (k kernel) leaving(pid int) bool {
	line, err := k.stat(itoa(pid), make([]byte, 4096))
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if err != nil || len(fields) < 7 || fields[0] == "Z" || fields[0] == "X" {
		return false // it has ended
	}
	const exiting = 0x4 // PF_EXITING among the flags, proc_pid_stat(5)
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err != nil || flags&exiting != 0 || fields[0] != "S" ||
		k.pending(pid, "SigPnd") || k.pending(pid, "ShdPnd")
}

// pending reports whether SIGKILL is in a set of signals of /proc/PID/status.
func (k kernel) pending(pid int, set string) bool {
	signals, err := strconv.ParseUint(k.status(itoa(pid), set), 16, 64)
	return err == nil && signals&(1<<(unix.SIGKILL-1)) != 0
}

// descendants are the process's children and theirs, parents first.
func (k kernel) descendants(pid int) ([]int, error) {
	processes, err := k.processes()
	if err != nil {
		return nil, err
	}
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for _, p := range processes {
			if p.parent == found[i] {
				found = append(found, p.pid)
			}
		}
	}
	return found[1:], nil
}

// innermost is the process that a run has become: the first below pid that is process 1
// of a PID namespace, or the last when there is none. In between may be others: a binary
// may run itself once more, a shell may come before it.
func (k kernel) innermost(pid int) (int, error) {
	below, err := k.descendants(pid)
	for tries := 0; err == nil && len(below) == 0 && tries < 100; tries++ {
		time.Sleep(10 * time.Millisecond) // a listing of /proc is not a snapshot
		below, err = k.descendants(pid)
	}
	if err != nil {
		return 0, err
	}
	if len(below) == 0 {
		return 0, fmt.Errorf("process %d has no child", pid)
	}
	i := slices.IndexFunc(below, func(pid int) bool {
		numbers := strings.Fields(k.status(itoa(pid), "NSpid"))
		return len(numbers) > 1 && numbers[len(numbers)-1] == "1"
	})
	if i < 0 {
		i = len(below) - 1
	}
	return below[i], nil
}

func itoa(n int) string { return strconv.Itoa(n) }
