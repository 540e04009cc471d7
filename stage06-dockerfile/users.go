// Who the container's program is, what it knows and where it stands: -u, -e, -w. The names
// are those of the container's own passwd(5) and group(5), and every path is opened as the
// program would open it (openat2(2)).
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
)

// ProcessOptions are the flags about the program's user, directory and environment.
type ProcessOptions struct {
	User    string   `short:"u" help:"Who runs the command, by the container's own passwd and group." placeholder:"NAME|UID[:GROUP]" group:"Program:"`
	Workdir string   `short:"w" help:"The directory that it starts in." placeholder:"DIR" group:"Program:"`
	Env     []string `short:"e" help:"A variable; NAME alone takes the caller's value." placeholder:"NAME=VALUE" sep:"none" group:"Program:"`
	EnvFile []string `help:"A file of such lines." placeholder:"FILE" sep:"none" group:"Program:"`
	Init    bool     `help:"Have a small PID 1 above the command, which passes signals on and waits for orphans." group:"Program:"`
}

// identity is what the kernel and the environment need to know of a user.
type identity struct {
	uid, gid int
	groups   []int // supplementary ones
	home     string
	env      []string
	given    bool // for a command that exec brings in
}

// identify looks up the user that the program runs as, and makes its environment.
func identify(c *Container) (*identity, error) {
	id := &identity{home: "/root"}
	if c.Rootfs != "" || c.User != "" {
		if err := id.find(c.readInside, c.User); err != nil {
			return nil, fmt.Errorf("--user %s: %w", c.User, err)
		}
	}
	env, err := c.environment(id.home)
	id.env = env
	return id, err
}

// largest is as much of a passwd or group file as is read.
const largest = 1 << 20

// find looks the user up in the files of a root. Numbers need no entry there.
func (id *identity) find(read func(name string) ([]byte, error), text string) error {
	passwd, err := read("/etc/passwd")
	if err != nil {
		return err
	}
	groups, err := read("/etc/group")
	if err != nil {
		return err
	}
	user, group, _ := strings.Cut(text, ":")
	if user == "" {
		user = "0"
	}
	if entry := named(passwd, user, 7); entry != nil {
		id.home, user = entry[5], entry[2]
		if group == "" {
			group, id.groups = entry[3], memberOf(groups, entry[0])
		}
	} else if user != "0" {
		id.home = "/"
	}
	if entry := named(groups, group, 3); entry != nil {
		group = entry[2]
	}
	if id.uid, err = number31(user); err != nil {
		return fmt.Errorf("there is no user %q in the container's /etc/passwd; a number needs no entry there", user)
	}
	if id.gid, err = number31(group); group != "" && err != nil {
		return fmt.Errorf("there is no group %q in the container's /etc/group; a number needs no entry there", group)
	}
	return nil
}

// named finds the entry with a name or, if there is none, with a number.
func named(file []byte, text string, fields int) []string {
	if entry := find(file, fields, func(f []string) bool { return f[0] == text }); entry != nil {
		return entry
	}
	return find(file, fields, func(f []string) bool { return f[2] == text })
}

// find returns the first line with so many fields that is wanted.
func find(file []byte, fields int, wanted func([]string) bool) []string {
	for line := range strings.Lines(string(file)) {
		if f := strings.Split(strings.TrimRight(line, "\r\n"), ":"); len(f) >= fields && wanted(f) {
			return f
		}
	}
	return nil
}

// memberOf returns the groups that list a user.
func memberOf(groups []byte, user string) []int {
	var ids []int
	find(groups, 4, func(f []string) bool {
		if id, err := number31(f[2]); err == nil && slices.Contains(strings.Split(f[3], ","), user) {
			ids = append(ids, id)
		}
		return false
	})
	return ids
}

// number31 reads the number of a user or group. A malformed one is an error: moby/sys/user
// returns 0 for it, which is root.
func number31(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// readInside reads a file as somebody inside would; one that is not there is empty. A
// hostile root may hold a FIFO or a device in its place, of which opening alone can do
// something to the host, or a file without end: so it is looked at before it is opened.
func (c *Container) readInside(name string) ([]byte, error) {
	fd, err := c.openInside(name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("openat2(%q) in the root: %w", name, err)
	}
	defer unix.Close(fd)
	found := "/proc/self/fd/" + strconv.Itoa(fd)
	info, err := os.Stat(found)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > largest {
		return nil, fmt.Errorf("%s in the root is not a file of up to %d bytes, so no user can be looked up in it", name, largest)
	}
	file, err := os.Open(found)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, info.Size())
	n, err := file.ReadAt(data, 0)
	if n < len(data) {
		return nil, fmt.Errorf("%s in the root: %w", name, err)
	}
	return data, nil
}

// environment is what the program knows. TERM is xterm at a terminal of its own, which
// images know, whatever the caller's is.
func (c *Container) environment(home string) ([]string, error) {
	env := environment(c.Hostname)
	if c.Rootfs != "" {
		env = []string{"PATH=" + defaultPath, "HOSTNAME=" + c.Hostname, "HOME=" + home}
		if c.TTY {
			env = append(env, "TERM=xterm")
		}
	}
	for _, file := range c.EnvFile {
		lines, err := readEnvFile(file)
		if err != nil {
			return nil, fmt.Errorf("--env-file %s: %w", file, err)
		}
		env = setAll(env, lines)
	}
	for _, variable := range c.Env {
		if name, _, _ := strings.Cut(variable, "="); name == "" {
			return nil, fmt.Errorf("--env %s: give NAME=VALUE", variable)
		}
	}
	return setAll(env, c.Env), nil
}

// setAll adds variables, each in place of an earlier one of that name. A name alone takes
// the caller's value, or none.
func setAll(env, variables []string) []string {
	for _, variable := range variables {
		name, _, given := strings.Cut(variable, "=")
		env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if value, known := os.LookupEnv(name); !given && known {
			variable, given = name+"="+value, true
		}
		if given {
			env = append(env, variable)
		}
	}
	return env
}

// readEnvFile reads lines "NAME=VALUE"; blank lines and those that begin with # say nothing.
func readEnvFile(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var list []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		variable, _, _ := strings.Cut(line, "=")
		if variable == "" || strings.ContainsAny(variable, " \t") {
			return nil, fmt.Errorf("line %d: %q is not NAME=VALUE", n, line)
		}
		list = append(list, line)
	}
	return list, lines.Err()
}

// workdir puts the process into its directory, through no magic link: a descriptor of the
// host's that was left open is no way out (CVE-2024-21626).
func (c *Container) workdir(p *Plan) error {
	dir := c.Workdir
	if dir == "" && c.Rootfs == "" {
		return nil
	}
	if dir == "" {
		dir = "/"
	}
	if !path.IsAbs(dir) {
		return fmt.Errorf("--workdir %s: it must be an absolute path inside", dir)
	}
	at := p.OpenPath(dir, unix.O_DIRECTORY, 0).
		Hint(unix.ELOOP, "it leads through a link of /proc to a file that somebody has open, which box does not follow").
		Hint(unix.ENOTDIR, "it is not a directory").Hint(unix.ENOENT, "there is no such directory").Result()
	p.Add("fchdir", unix.SYS_FCHDIR, at).Why("where it stands")
	return nil
}

// become changes to the user: groups first, because afterwards it is forbidden. Its own is
// among them, or a setgid program would be a way to lose it, and to read what is kept from
// just that group (CVE-2022-36109).
func (id *identity) become(p *Plan) {
	var list []uint32
	var texts []string
	for _, group := range append([]int{id.gid}, id.groups...) {
		list, texts = append(list, uint32(group)), append(texts, strconv.Itoa(group))
	}
	outside := "this user is not mapped into the container's user namespace; newuidmap (package uidmap) and a line in /etc/subuid and /etc/subgid map more than user 0"
	groups := plan.Ptr(unsafe.Pointer(&list[0]), "["+strings.Join(texts, ", ")+"]")
	p.Add("setgroups", unix.SYS_SETGROUPS, len(list), groups).Why("no group of the caller's").
		Tolerate(unix.EPERM).Hint(unix.EINVAL, outside)
	p.Add("setresgid", unix.SYS_SETRESGID, id.gid, id.gid, id.gid).Why("its group").Hint(unix.EINVAL, outside)
	for _, pipe := range p.stdio {
		if pipe != 0 && id.uid != 0 {
			p.Add("fchown", unix.SYS_FCHOWN, pipe, id.uid, -1).Why("to open /dev/stdout is to open this pipe").Tolerate(unix.EPERM).Hint(unix.EINVAL, outside)
		}
	}
	p.Add("setresuid", unix.SYS_SETRESUID, id.uid, id.uid, id.uid).Why("and the user itself").Hint(unix.EINVAL, outside)
	if id.uid != 0 || id.gid != 0 {
		p.renewDeathSignal()
	}
}

// renewDeathSignal sets again what the kernel resets when a process changes its user
// (PR_SET_PDEATHSIG). If box has died meanwhile, the write fails.
func (p *Plan) renewDeathSignal() {
	p.Prctl(plan.Sym(unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), plan.Sym(uintptr(unix.SIGKILL), "SIGKILL")).Why("the kernel has forgotten it with the user")
	p.Write(p.SyncEnd(), "a").Expect(1).Why("is box still there?")
}
