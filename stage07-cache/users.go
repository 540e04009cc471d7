// The user and the directory of the container's program. Names of users are those of the
// container's own passwd(5) and group(5), and every path is opened as the program would open
// it (openat2(2)).

package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage03-rootfs/passwd"
	"stagebox/stage03-rootfs/rootdir"
)

// identity is what the kernel and the environment need to know of a user.
type identity struct {
	uid, gid int
	groups   []int // supplementary ones
	home     string
	env      []string
	isMember bool // of groups that were asked for
	given    bool // for a command that exec brings in
}

// identify looks up the user that the program runs as, and makes its environment.
func identify(c *Container) (*identity, error) {
	id := &identity{home: "/root"}
	if c.isChanged() {
		if err := id.lookUp(c); err != nil {
			return nil, err
		}
	}
	env, err := c.environment(id.home)
	id.env = env
	return id, err
}

// isChanged reports whether the program's user may be another than box's.
func (c *Container) isChanged() bool {
	return c.Rootfs != "" || c.User != "" || len(c.GroupAdd) > 0
}

// lookUp finds the user and the groups of the flags.
func (id *identity) lookUp(c *Container) error {
	if err := id.find(c.readInside, c.User); err != nil {
		return fmt.Errorf("user %s: %w", c.User, err) // of --user, or of an image
	}
	added, err := passwd.Groups(c.readInside, c.GroupAdd)
	if err != nil {
		return fmt.Errorf("--group-add %w", err)
	}
	id.groups, id.isMember = append(id.groups, added...), len(added) > 0
	return nil
}

// find looks the user up in the files of a root.
func (id *identity) find(read func(name string) ([]byte, error), text string) error {
	user, err := passwd.Lookup(read, text)
	id.uid, id.gid, id.groups, id.home = user.UID, user.GID, user.Groups, user.Home
	return err
}

// readInside reads a file as a process inside would; a missing one is empty. A hostile root may
// have a FIFO or a device in its place, where opening alone can do something to the host, or a
// file without end: passwd.ReadFile looks before it opens.
func (c *Container) readInside(name string) ([]byte, error) {
	fd, err := c.openInside(name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("openat2(%q) in the root: %w", name, err)
	}
	defer unix.Close(fd)
	return passwd.ReadFile(fd, name)
}

// workdir puts the process into its directory, through no magic link: a descriptor of the
// host's that was left open is not a way out (CVE-2024-21626).
func (c *Container) workdir(p *Plan) error {
	dir := c.Workdir
	if dir == "" && c.Rootfs == "" {
		return nil
	}
	if dir == "" {
		dir = "/"
	}
	if err := rootdir.CheckWorkdir(dir); err != nil {
		return err
	}
	at := p.OpenPath(dir, unix.O_DIRECTORY, 0).
		Hint(unix.ELOOP, "its links lead in a circle, or through one of /proc to an open file, "+
			"which box does not follow").
		Hint(unix.ENOTDIR, "it is not a directory").
		Hint(unix.ENOENT, "there is no such directory").Result()
	p.Add("fchdir", unix.SYS_FCHDIR, at).Why("where it stands")
	return nil
}

// unmapped says why an id is invalid.
const unmapped = "this user is not mapped into the container's user namespace; newuidmap " +
	"(package uidmap) and a line in /etc/subuid and /etc/subgid map more than user 0"

// become changes to the user: groups first, because afterwards it is forbidden. The user's own
// group is among them, or a setgid program would be a way to lose it, and to read files that
// are denied to just that group (CVE-2022-36109).
func (id *identity) become(p *Plan) {
	var list []uint32
	var texts []string
	for _, group := range append([]int{id.gid}, id.groups...) {
		list, texts = append(list, uint32(group)), append(texts, strconv.Itoa(group))
	}
	groups := plan.Ptr(unsafe.Pointer(&list[0]), "["+strings.Join(texts, ", ")+"]")
	set := p.Add("setgroups", unix.SYS_SETGROUPS, len(list), groups).
		Why("no group of the caller's").Hint(unix.EINVAL, unmapped).Hint(unix.EPERM, unmapped)
	if !id.isMember {
		set.Tolerate(unix.EPERM)
	}
	id.ownPipes(p)
	p.Add("setresgid", unix.SYS_SETRESGID, id.gid, id.gid, id.gid).Why("its group").
		Hint(unix.EINVAL, unmapped)
	p.Add("setresuid", unix.SYS_SETRESUID, id.uid, id.uid, id.uid).Why("and the user itself").
		Hint(unix.EINVAL, unmapped)
	if id.uid != 0 || id.gid != 0 {
		p.renewDeathSignal()
	}
}

// ownPipes gives the standard files that are pipes to the user, as runc does: /dev/stdout leads to
// /proc/self/fd/1, and to open that is to open the pipe once more.
func (id *identity) ownPipes(p *Plan) {
	for fd, from := range p.stdio {
		fd = cmp.Or(from, fd)
		var st unix.Statfs_t
		err := unix.Fstatfs(fd, &st)
		if id.uid == 0 || err != nil || st.Type != unix.PIPEFS_MAGIC {
			continue // files and terminals of the caller's stay the caller's
		}
		p.Add("fchown", unix.SYS_FCHOWN, fd, id.uid, -1).Tolerate(unix.EPERM).
			Why("to open /dev/stdout, for one, is to open this pipe").Hint(unix.EINVAL, unmapped)
	}
}

// renewDeathSignal sets again what the kernel resets when a process changes its user
// (PR_SET_PDEATHSIG). If box has died meanwhile, the write fails.
func (p *Plan) renewDeathSignal() {
	p.Prctl(plan.Sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"),
		plan.Sym(uintptr(unix.SIGKILL), "SIGKILL")).Why("the kernel has forgotten it with the user")
	p.Write(p.SyncEnd(), "a").Expect(1).Why("is the parent still there?")
}
