// Package host finds out what this machine offers to a container, stage by stage, and
// says how to mend what is missing. It changes nothing.
//
// Read checks.go for the list of what is looked at. A Host (this file) is everything the
// checks may look at: files, and the outcomes of trials. Where the kernel can be asked by
// trying, it is: trials.go tries, in processes whose namespaces end with them, and the
// files named like a stage's topic turn outcomes and files into sentences.
package host

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Host is one machine as one user sees it. Tests make up their own.
type Host struct {
	Files   fs.FS  // the machine's root directory
	UID     int    // the effective user
	Machine string // of uname(2): x86_64, aarch64
	Env     func(name string) string
	Now     time.Time
	Writes  func(path string) error // access(2) for writing: nil, or the errno
	HasCaps func(path string) bool  // a program with file capabilities

	AsRoot Outcomes // what root could do; nil for an ordinary user
	AsUser Outcomes // what an ordinary user could do, in a user namespace; nil when it was not tried
	Disk   Disk     // the file system that holds, or would hold, the state directory
	Drops  []string // the host's nf_tables chains that drop forwarded packets; root only
}

// Outcomes are the results of trials by name. A trial that was never reached is absent.
type Outcomes map[string]Outcome

// Outcome is what one system call answered.
type Outcome struct {
	Call  string // as a person would write it: clone(CLONE_NEWNET)
	Errno unix.Errno
	Said  string // what a program said instead, where the trial was a program
}

// OK is false for a trial that was not reached.
func (o Outcome) OK() bool { return o.Tried() && o.Errno == 0 && o.Said == "" }

// Tried is true when the call was made.
func (o Outcome) Tried() bool { return o.Call != "" }

// Failed is true when the call was made and did not succeed.
func (o Outcome) Failed() bool { return o.Tried() && !o.OK() }

func (o Outcome) String() string { return o.Call + ": " + o.reason() }

func (o Outcome) reason() string {
	if o.Said != "" {
		return o.Said
	}
	return o.Errno.Error()
}

// Here looks at the machine that it runs on. self says how this binary is made to run
// Probe; the trials need it.
func Here(self Self) (*Host, error) {
	h := &Host{
		Files:   os.DirFS("/"),
		UID:     os.Geteuid(),
		Env:     os.Getenv,
		Now:     time.Now(),
		Writes:  func(path string) error { return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) },
		HasCaps: hasCaps,
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	h.Machine = unix.ByteSliceToString(name.Machine[:])
	h.Disk = tryDisk(h.existing(h.StateDir()))
	return h, h.try(self)
}

// try fills in the outcomes. Root also finds out, as another user, what an ordinary user can do.
func (h *Host) try(self Self) (err error) {
	if h.UID != 0 {
		if h.AsUser, err = self.trials(true); err == nil {
			h.AsUser["newuidmap"], err = self.tryIDs(h)
		}
		return err
	}
	h.Drops = dropsForwarded()
	if h.AsRoot, err = self.trials(false); err == nil {
		h.AsUser, err = self.asNobody()
	}
	return err
}

// tried is the outcome of a trial for the user who asks.
func (h *Host) tried(name string) Outcome {
	if h.UID == 0 {
		return h.AsRoot[name]
	}
	return h.AsUser[name]
}

// read returns the trimmed text of a file given by its absolute path, "" when it cannot be read.
func (h *Host) read(name string) string {
	text, err := fs.ReadFile(h.Files, rel(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// lines returns the lines of a file that hold more than white space.
func (h *Host) lines(name string) (lines []string) {
	scan := bufio.NewScanner(strings.NewReader(h.read(name)))
	scan.Buffer(nil, 1<<20) // a line of mountinfo may hold many overlay layers
	for scan.Scan() {
		if strings.TrimSpace(scan.Text()) != "" {
			lines = append(lines, scan.Text())
		}
	}
	return lines
}

func (h *Host) exists(name string) bool {
	_, err := fs.Stat(h.Files, rel(name))
	return err == nil
}

// existing returns the nearest directory at or above name that exists.
func (h *Host) existing(name string) string {
	for name != "/" && !h.exists(name) {
		name = path.Dir(name)
	}
	return name
}

// rel is name as package fs wants it: without the leading slash.
func rel(name string) string {
	if name = strings.TrimPrefix(path.Clean(name), "/"); name == "" {
		return "."
	}
	return name
}

// sysctl returns the value of a sysctl given by its dotted name, "" where the kernel has none.
func (h *Host) sysctl(name string) string {
	return h.read("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
}

// status returns a field of /proc/self/status, such as CapBnd.
func (h *Host) status(field string) string {
	for _, line := range h.lines("/proc/self/status") {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// program returns the path of a program in PATH or where administrators' programs are, "" if there is none.
func (h *Host) program(name string) string {
	for _, dir := range strings.Split(h.Env("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", ":") {
		file := path.Join("/", dir, name)
		info, err := fs.Stat(h.Files, rel(file))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// User is the name of the user who asks, or the number where it has no name.
func (h *Host) User() string {
	id := strconv.Itoa(h.UID)
	for _, line := range h.lines("/etc/passwd") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == id {
			return f[0]
		}
	}
	return id
}

// Who is the user, and what kind of root it is.
func (h *Host) Who() string {
	if h.UID == 0 && h.nested() {
		return h.User() + " of a user namespace"
	}
	return h.User()
}

// StateDir is where box keeps its images and containers.
func (h *Host) StateDir() string {
	switch dir := h.Env("BOX_ROOT"); {
	case path.IsAbs(dir):
		return path.Clean(dir)
	case dir != "":
		return path.Join("/", h.Env("PWD"), dir)
	case h.UID == 0:
		return "/var/lib/stagebox"
	case path.IsAbs(h.Env("XDG_DATA_HOME")): // the specification has a relative one ignored
		return path.Join(h.Env("XDG_DATA_HOME"), "stagebox")
	}
	return path.Join("/", h.Env("HOME"), ".local/share/stagebox")
}

// nested is true inside a user namespace: there, even root is an ordinary user to the kernel.
func (h *Host) nested() bool {
	ids := strings.Join(strings.Fields(h.read("/proc/self/uid_map")), " ")
	return ids != "" && ids != "0 0 4294967295"
}
