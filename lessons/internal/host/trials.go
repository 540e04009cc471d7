// The trials: what the kernel says when it is asked. Everything here happens in children
// of this process that have namespaces of their own, so that what they make vanishes when
// they end. The one trace can be a module that the kernel loads on demand.
//
// There are two kinds of child. One is cloned only to see whether it can be (tryClone).
// The other runs this binary again in a role (Probe) and prints its Outcomes as JSON;
// the roles are in mounts.go and netlink.go.
package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Self is the arguments with which this binary runs Probe; the role comes after them.
type Self []string

// namespace is a kind of namespace as /proc/PID/ns and clone(2) call it.
type namespace struct {
	name, flag string
	clone      uintptr
}

var namespaces = []namespace{
	{"mnt", "CLONE_NEWNS", unix.CLONE_NEWNS},
	{"pid", "CLONE_NEWPID", unix.CLONE_NEWPID},
	{"uts", "CLONE_NEWUTS", unix.CLONE_NEWUTS},
	{"ipc", "CLONE_NEWIPC", unix.CLONE_NEWIPC},
	{"net", "CLONE_NEWNET", unix.CLONE_NEWNET},
	{"cgroup", "CLONE_NEWCGROUP", unix.CLONE_NEWCGROUP},
	{"time", "CLONE_NEWTIME", unix.CLONE_NEWTIME},
	{"user", "CLONE_NEWUSER", unix.CLONE_NEWUSER},
}

// outcome is what a call answered, given its error.
func outcome(call string, err error) Outcome {
	o := Outcome{Call: call}
	if err != nil && !errors.As(err, &o.Errno) {
		o.Said = err.Error()
	}
	return o
}

// note records an outcome, and returns whether the call succeeded.
func (o Outcomes) note(name, call string, err error) bool {
	o[name] = outcome(call, err)
	return err == nil
}

// trials tries everything, for an ordinary user in a user namespace.
func (s Self) trials(asUser bool) (Outcomes, error) {
	o := Outcomes{}
	o.trySyscalls()
	var base uintptr
	if asUser {
		base = unix.CLONE_NEWUSER
	}
	o.tryNamespaces(base)
	if o["mnt"].OK() && o["pid"].OK() {
		if err := s.inside("mounts", base|unix.CLONE_NEWNS|unix.CLONE_NEWPID, o); err != nil {
			return nil, err
		}
	}
	if o["net"].OK() {
		return o, s.inside("links", base|unix.CLONE_NEWNET, o)
	}
	return o, nil
}

// trySyscalls asks in ways that can make nothing. A container's seccomp filter may refuse
// what the kernel has, so the version alone does not tell.
func (o Outcomes) trySyscalls() {
	_, _, errno := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
	if errno == unix.EINVAL { // it is there, and does not like a struct of no bytes
		errno = 0
	}
	o["clone3"] = Outcome{Call: "clone3", Errno: errno}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if o.note("pidfd_open", "pidfd_open", err) {
		unix.Close(fd)
	}
	o.note("close_range", "close_range(CLOSE_RANGE_CLOEXEC)", unix.CloseRange(1<<30, 1<<30, unix.CLOSE_RANGE_CLOEXEC))
	_, _, errno = unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	o["landlock"] = Outcome{Call: "landlock_create_ruleset", Errno: errno}
}

// tryNamespaces makes each namespace on its own. An ordinary user needs a user namespace
// around each of them: without it the others are not reached.
func (o Outcomes) tryNamespaces(base uintptr) {
	if base != 0 {
		o["user"] = Outcome{Call: "clone(CLONE_NEWUSER)", Errno: tryClone(base)}
		if !o["user"].OK() {
			return
		}
	}
	for _, ns := range namespaces {
		if ns.clone != base {
			o[ns.name] = Outcome{Call: "clone(" + ns.flag + ")", Errno: tryClone(base | ns.clone)}
		}
	}
}

// tryClone clones a child that executes a file without a name. When that is what fails,
// all before it went well; and there was no program to start and nothing to clean up.
func tryClone(flags uintptr) unix.Errno {
	_, err := syscall.ForkExec("", []string{""}, &syscall.ProcAttr{Sys: cloneAttr(flags)})
	var errno unix.Errno
	if errors.As(err, &errno) && errno != unix.ENOENT {
		return errno
	}
	return 0
}

// cloneAttr makes the child root inside a user namespace, if flags ask for one.
func cloneAttr(flags uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// inside adds what a role finds in new namespaces.
func (s Self) inside(role string, flags uintptr, o Outcomes) error {
	found, err := s.run(role, cloneAttr(flags))
	maps.Copy(o, found)
	return err
}

// asNobody tries what an ordinary user can do here. Where root cannot become nobody, or
// that is not allowed not execute this binary, that stays unknown.
func (s Self) asNobody() (Outcomes, error) {
	const nobody = 65534
	o, err := s.run("user", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}})
	if errors.Is(err, errNotStarted) {
		return nil, nil
	}
	return o, err
}

var errNotStarted = errors.New("not started")

// run runs this binary in a role and returns what it prints. The role learns on its
// standard input which namespaces are not its own.
func (s Self) run(role string, attr *syscall.SysProcAttr) (Outcomes, error) {
	// No trial takes a tenth of a second. One that the kernel never answers must not keep
	// the others from being told.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(s[:len(s):len(s)], role)...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(ownNamespaces()), &out, &complaint
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("probe %s: %w: %w", role, errNotStarted, err)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("probe %s: %w: %s", role, err, bytes.TrimSpace(complaint.Bytes()))
	}
	var found Outcomes
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return nil, fmt.Errorf("probe %s printed no outcomes: %w", role, err)
	}
	return found, nil
}

// Probe runs a role in the process that run has made, and writes its Outcomes to out.
func (s Self) Probe(role string, in io.Reader, out io.Writer) error {
	var err error
	o := Outcomes{}
	switch role {
	case "mounts":
		if err = apart("mnt", in); err == nil {
			o.tryMounts()
		}
	case "links":
		if err = apart("net", in); err == nil {
			o.tryLinks()
		}
	case "user":
		o, err = s.trials(true)
	case "held":
		_, err = io.Copy(io.Discard, in)
	default:
		err = fmt.Errorf("there is no probe %q", role)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(o)
}

// apart is an error unless the namespace is another than those that in lists: typed by
// hand, a role would unmount the host.
func apart(ns string, in io.Reader) error {
	theirs, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return err
	}
	ours, err := os.Readlink("/proc/self/ns/" + ns)
	if err != nil {
		return err
	}
	if !bytes.Contains(theirs, []byte(ns+":[")) || bytes.Contains(theirs, []byte(ours)) {
		return fmt.Errorf("this probe is for a %s namespace of its own: run `lessons doctor`, which makes one", ns)
	}
	return nil
}

func ownNamespaces() string {
	var links []string
	for _, ns := range namespaces {
		if link, err := os.Readlink("/proc/self/ns/" + ns.name); err == nil { // time is younger than the rest
			links = append(links, link)
		}
	}
	return strings.Join(links, " ")
}

// tryIDs has newuidmap and newgidmap give the user's subordinate ids to a child that
// waits for its end. It is not reached without them: the check on ids tells.
func (s Self) tryIDs(h *Host) (Outcome, error) {
	uids, gids := h.subordinate("/etc/subuid"), h.subordinate("/etc/subgid")
	if !h.AsUser["user"].OK() || h.program("newuidmap") == "" || h.program("newgidmap") == "" || len(uids) == 0 || len(gids) == 0 {
		return Outcome{}, nil
	}
	child := exec.Command("/proc/self/exe", append(s[:len(s):len(s)], "held")...)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	leash, err := child.StdinPipe()
	if err != nil {
		return Outcome{}, err
	}
	if err := child.Start(); err != nil {
		return Outcome{}, fmt.Errorf("probe held: %w", err)
	}
	mapped := mapIDs(h.program("newuidmap"), child.Process.Pid, h.UID, uids[0])
	if mapped.OK() {
		mapped = mapIDs(h.program("newgidmap"), child.Process.Pid, os.Getegid(), gids[0])
	}
	leash.Close()
	if err := child.Wait(); err != nil {
		return Outcome{}, fmt.Errorf("probe held: %w", err)
	}
	return mapped, nil
}

// mapIDs runs `newuidmap PID 0 UID 1 1 START COUNT`: root inside is the user, the others are subordinate.
func mapIDs(program string, pid, id int, ids idRange) Outcome {
	args := strings.Fields(fmt.Sprintf("%d 0 %d 1 1 %d %d", pid, id, ids.start, ids.count))
	mapped := Outcome{Call: program}
	if said, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		mapped.Said = strings.TrimSpace(string(said) + " " + err.Error())
	}
	return mapped
}
