// RUN: a container on the layers so far, whose upper directory becomes the next one. It is
// the same container as that of box run, except that what it prints is the step's output,
// and that the places on which box had to mount something are taken out of the layer again.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/ids"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage04-unionfs/union"
	"stagebox/stage06-dockerfile/dockerfile"
)

// run is RUN.
func (s *stageBuild) run(in *dockerfile.Instruction) error {
	if s.hit != nil {
		return s.reuse(in)
	}
	dirs, err := s.dirs()
	if err != nil {
		return err
	}
	c := &Container{Isolation: Isolation{Hostname: "buildkitsandbox"}, Store: s.b.Store}
	c.Rootfs, c.Layer, c.Rm = dirs[0], dirs[1:], !s.b.Keep
	c.Env, c.User, c.Workdir = s.runEnv(), s.config.Config.User, s.config.Config.WorkingDir
	if err := s.permissions(c, in); err != nil {
		return err
	}
	m := &stepMounts{s: s, c: c, in: in}
	defer m.remove()
	if c.Command, err = m.command(); err != nil {
		return err
	}
	if err := m.add(); err != nil {
		return err
	}
	stubs, err := s.missing(c)
	if err != nil {
		return err
	}
	build := s.b.Store.path("images/partial", "layer-"+ids.New()[:12])
	c.harvest = func(upper string) error {
		c.Rm = true // only a failed one is kept
		return os.Rename(upper, build)
	}
	if err = s.inContainer(c, in); err == nil {
		err = clean(build, stubs)
	}
	if err != nil {
		return errors.Join(err, s.b.Store.dropLayer(build))
	}
	return s.adopt(in, build)
}

func cmpOr(text, other string) string {
	if text == "" || text == "default" {
		return other
	}
	return text
}

// permissions are what a Dockerfile may ask for. More than the usual is the caller's to
// allow: the file may be a stranger's.
func (s *stageBuild) permissions(c *Container, in *dockerfile.Instruction) error {
	c.Network = cmpOr(in.Flag("network"), s.b.Network)
	if c.Network == "host" && s.b.Network != "host" && !slices.Contains(s.b.Allow, "network.host") {
		return in.ErrorAt("--network", "--network=host: box build --allow network.host allows it")
	}
	if in.Flag("security") == "insecure" {
		if !slices.Contains(s.b.Allow, "security.insecure") {
			return in.ErrorAt("--security", "--security=insecure: box build --allow security.insecure allows it")
		}
		c.Privileged = true
	}
	return nil
}

// script is the command of RUN. A here-document alone is the script.
func (s *stageBuild) script(in *dockerfile.Instruction) []string {
	if in.JSON {
		return in.Args
	}
	return append(slices.Clone(s.shellWords()), in.ShellCommand())
}

// command is the script; if its first line names with #! who reads it, it is a file to run.
func (m *stepMounts) command() ([]string, error) {
	words, doc := m.s.script(m.in), m.in.OnlyHeredoc()
	if len(words) == 0 {
		return nil, m.in.ErrorAt("", "RUN []: there is no command")
	}
	if text := words[len(words)-1]; doc != nil && !m.in.JSON && strings.HasPrefix(text, "#!") {
		target := "/dev/pipes/" + doc.Name
		return []string{target}, m.file(target, []byte(text), 0o755, 0, 0)
	}
	return words, nil
}

// proxies are ARGs that need no declaration.
var proxies = strings.Fields("HTTP_PROXY http_proxy HTTPS_PROXY https_proxy FTP_PROXY ftp_proxy NO_PROXY no_proxy ALL_PROXY all_proxy")

// runEnv is the environment of RUN: the image's variables, and over them the arguments.
func (s *stageBuild) runEnv() (env []string) {
	for _, name := range proxies {
		if value, given := s.b.args[name]; given {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, s.config.Config.Env...)
	for _, name := range slices.Sorted(maps.Keys(s.args)) {
		env = append(env, name+"="+s.args[name])
	}
	return env
}

// inContainer runs the container, and says how it ended if not well.
func (s *stageBuild) inContainer(c *Container, in *dockerfile.Instruction) error {
	out, err := s.shown.Output()
	if err != nil {
		return err
	}
	defer out.Close()
	c.output, c.Name = out.File, "step-"+ids.New()[:12]
	over := make(chan struct{})
	go s.killWhenInterrupted(c.Name, over)
	err = c.Run()
	close(over)
	if s.b.ctx.Err() != nil {
		return errors.New("the build was interrupted")
	}
	var ended plan.ExitStatus
	if !errors.As(err, &ended) || ended == 0 {
		if ended == 0 && err == plan.ExitStatus(0) {
			return nil
		}
		return err
	}
	out.Close()
	advice := s.adviceOnUsers()
	if s.b.Keep {
		advice += fmt.Sprintf("; its container was kept: box commit %s seen && box run --rm -it seen sh", c.record.Name)
	}
	return in.ErrorAt("", "%s ended with exit status %d%s", in.Name, int(ended), advice)
}

// adviceOnUsers is for a step that the kernel has refused something, where root is alone.
func (s *stageBuild) adviceOnUsers() string {
	if os.Geteuid() == 0 || hasMany() || !s.shown.Printed(unix.EPERM.Error(), unix.EINVAL.Error()) {
		return ""
	}
	return "; if it asked for another user than root: there is none, until newuidmap (package uidmap) is here, and a line of yours in /etc/subuid and /etc/subgid"
}

// killWhenInterrupted ends the step's container with the build: what runs in it may not heed
// a signal, as a shell that is PID 1 does not.
func (s *stageBuild) killWhenInterrupted(name string, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-s.b.ctx.Done():
	}
	for {
		if r, err := s.b.Store.find(name); err == nil && r.signal(unix.SIGKILL) == nil {
			return
		}
		select {
		case <-over:
			return
		case <-time.After(5 * time.Millisecond): // it has not begun yet
		}
	}
}

// places are where every container has something mounted.
var places = []string{"dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// missing are the places that the layers do not have, and those of the step's mounts.
func (s *stageBuild) missing(c *Container) ([]string, error) {
	u, err := union.Open(c.topFirst())
	if err != nil {
		return nil, err
	}
	defer u.Close()
	binds, err := c.binds()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(places)
	for _, b := range binds {
		all = append(all, strings.TrimPrefix(b.target, "/"))
	}
	var list []string
	for _, place := range all {
		at, absent := place, ""
		n, err := u.Find(at, false)
		for ; err != nil; n, err = u.Find(at, true) { // links lead to the directories above
			at, absent = path.Dir(at), path.Join(path.Base(at), absent)
		}
		for ; absent != "" && absent != "."; absent = path.Dir(absent) {
			list = append(list, path.Join(n.Path(), absent))
		}
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return slices.Compact(list), nil
}

// clean takes places out of a layer that are still as box made them: empty.
func clean(build string, stubs []string) error {
	root, err := unix.Open(build, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", build, err)
	}
	defer unix.Close(root)
	for _, stub := range stubs {
		dir, err := files.OpenBeneath(root, path.Dir(stub), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue // the step has replaced it
		}
		var st unix.Stat_t
		err = unix.Fstatat(dir, path.Base(stub), &st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err != nil:
		case st.Mode&unix.S_IFMT == unix.S_IFDIR:
			err = unix.Unlinkat(dir, path.Base(stub), unix.AT_REMOVEDIR)
		case st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0:
			err = unix.Unlinkat(dir, path.Base(stub), 0)
		}
		unix.Close(dir)
		if err != nil && err != unix.ENOENT && err != unix.ENOTEMPTY {
			return about("remove", stub, err)
		}
	}
	return nil
}

// stepMounts are the --mount flags of a RUN.
type stepMounts struct {
	s    *stageBuild
	c    *Container
	in   *dockerfile.Instruction
	temp []string // directories to remove afterwards

	locks []*os.File // of caches
}

func (m *stepMounts) add() error {
	for _, mount := range m.in.Mounts {
		if mount.Target != "" && !path.IsAbs(mount.Target) {
			mount.Target = path.Join("/", m.s.config.Config.WorkingDir, mount.Target)
		}
		var err error
		switch mount.Type {
		case "tmpfs":
			options := ""
			if mount.Size > 0 {
				options = fmt.Sprintf("size=%d,", mount.Size)
			}
			m.c.Tmpfs = append(m.c.Tmpfs, mount.Target+":"+options+"exec")
		case "secret":
			err = m.secret(mount)
		case "cache":
			err = m.cache(mount)
		case "bind":
			err = m.bind(mount)
		case "ssh":
			if mount.Required {
				err = errors.New("type=ssh: box hands no agent on")
			}
		}
		if err != nil {
			return m.in.ErrorAt("--mount", "--mount=%v", err)
		}
	}
	return nil
}

func (m *stepMounts) remove() {
	for _, held := range m.locks {
		complain(held.Close())
	}
	for _, dir := range m.temp {
		if err := removeTree(dir); err != nil {
			fmt.Fprintf(os.Stderr, "box: %v\n", err)
		}
	}
}

// directory is a new one that lasts as long as the step.
func (m *stepMounts) directory() (string, error) {
	dir, err := os.MkdirTemp(m.s.b.Store.path("images/partial"), "mount-*")
	m.temp = append(m.temp, dir)
	return dir, err
}

// mount binds a path of the host's.
func (m *stepMounts) mount(source, target string, readOnly bool) {
	spec := "type=bind,src=" + source + ",dst=" + target
	if readOnly {
		spec += ",readonly"
	}
	m.c.Mount = append(m.c.Mount, spec)
}

// secret lays a file over its place, or sets a variable.
func (m *stepMounts) secret(mount dockerfile.Mount) error {
	id := mount.ID
	if id == "" {
		id = cmp.Or(mount.Source, path.Base(mount.Target))
	}
	given, known := m.s.b.secrets[id]
	if !known {
		if mount.Required {
			return fmt.Errorf("type=secret: the build was given no secret %q: --secret id=%s,src=FILE gives it", id, id)
		}
		if mount.Env != nil {
			m.c.Env = append(m.c.Env, cmp.Or(*mount.Env, id)+"=")
		}
		return nil
	}
	data, err := given.read()
	if err != nil {
		return fmt.Errorf("type=secret: %w", err)
	}
	if mount.Env != nil {
		m.c.Env = append(m.c.Env, cmp.Or(*mount.Env, id)+"="+string(data))
		if mount.Target == "" {
			return nil
		}
	}
	return m.file(cmp.Or(mount.Target, "/run/secrets/"+id), data, numberOr(mount.Mode, 0o400), numberOr(mount.UID, 0), numberOr(mount.GID, 0))
}

// file lays a file of the step's own over a place.
func (m *stepMounts) file(target string, data []byte, mode, uid, gid int) error {
	dir, err := m.directory()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, data, 0o400); err != nil {
		return err
	}
	m.mount(file, target, true)
	return m.give(file, mode, uid, gid)
}

// give sets owner and mode. An ordinary user's files are his own, and root's inside.
func (m *stepMounts) give(file string, mode, uid, gid int) error {
	if os.Geteuid() == 0 {
		if err := os.Chown(file, uid, gid); err != nil {
			return err
		}
	}
	return about("chmod", file, unix.Chmod(file, uint32(mode)&0o7777))
}

// numberOr is a number that may have been left out.
func numberOr(n *uint64, usual int) int {
	if n == nil {
		return usual
	}
	return int(*n)
}

// cache is a directory that other builds see too. With sharing=locked they wait for each
// other; with private each that comes meanwhile gets another one.
func (m *stepMounts) cache(mount dockerfile.Mount) error {
	id := cmp.Or(mount.ID, path.Clean(mount.Target))
	if mount.From != "" || mount.Source != "" {
		id += "\x00" + mount.From + "\x00" + mount.Source
	}
	dir := m.s.b.Store.path("cache", "mounts", digest.FromString(id).Encoded()[:32])
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	dir, held, err := m.lockCache(dir, mount.Sharing)
	if err != nil {
		return err
	}
	if held != nil {
		m.locks = append(m.locks, held)
	}
	m.mount(dir, mount.Target, mount.ReadOnly)
	if exists(dir) {
		return nil
	}
	return m.newCache(dir, mount)
}

// lockCache locks a directory of a cache mount if it is not shared: it waits for the one, or
// with "private" takes the first of several that nobody else has.
func (m *stepMounts) lockCache(first, sharing string) (dir string, held *os.File, err error) {
	dir = first
	switch sharing {
	case "locked":
		held, err = state.Lock(m.s.b.ctx, dir+".lock", state.Exclusive)
		if err != nil && m.s.b.ctx.Err() != nil {
			err = errors.New("type=cache: the build was interrupted")
		}
	case "private":
		held, err = state.TryLock(dir+".lock", state.Exclusive)
		for n := 1; err == state.ErrBusy; n++ {
			dir = fmt.Sprintf("%s-%d", first, n)
			held, err = state.TryLock(dir+".lock", state.Exclusive)
		}
	}
	return dir, held, err
}

// newCache makes the directory, with what is in the one that it shall begin with.
func (m *stepMounts) newCache(dir string, mount dockerfile.Mount) error {
	temp, err := m.directory()
	if err != nil {
		return err
	}
	build := filepath.Join(temp, "root")
	if mount.From != "" {
		err = m.fill(build, mount)
	} else if err = os.Mkdir(build, 0o755); err == nil {
		err = m.give(build, numberOr(mount.Mode, 0o755)&0o777, numberOr(mount.UID, 0), numberOr(mount.GID, 0))
	}
	if err != nil {
		return err
	}
	if err = os.Rename(build, dir); err != nil && exists(dir) { // another build was faster
		return nil
	}
	return err
}

// bind shows files of the context, a stage or an image. They are the step's own copy, which
// it may change, and which is gone afterwards.
func (m *stepMounts) bind(mount dockerfile.Mount) error {
	dir, err := m.directory()
	if err != nil {
		return err
	}
	m.mount(filepath.Join(dir, "root"), mount.Target, mount.ReadOnly)
	return m.fill(filepath.Join(dir, "root"), mount)
}

// fill makes a copy of what a mount shows.
func (m *stepMounts) fill(to string, mount dockerfile.Mount) error {
	from, ignore, err := m.files(mount.From)
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := from.Find(cmp.Or(mount.Source, "/"), true)
	if err != nil {
		return fmt.Errorf("type=%s: there is no %s", mount.Type, mount.Source)
	}
	nothing, err := m.s.b.Store.nothing()
	if err != nil {
		return err
	}
	w, err := newWriter(filepath.Dir(to), nothing)
	if err != nil {
		return err
	}
	c := &copying{s: m.s, in: m.in, ignore: ignore}
	if mount.From == "" { // what the context holds is root's
		c.w, w.Change, w.Bare = w, c.change, true
		if os.Geteuid() == 0 {
			w.give = &c.who
		}
	}
	ignored, err := c.isIgnored(found{n, ""})
	switch target := filepath.Base(to); {
	case err != nil:
	case ignored:
		err = fmt.Errorf("type=%s: .dockerignore leaves %s out", mount.Type, mount.Source)
	case !n.IsDir():
		err = w.put(n, target)
	default:
		if err = w.mkdirs(target, owner{}); err == nil {
			err = w.tree(n, n.Path(), target, c.keep)
		}
		if err == nil && n != from.Root() {
			err = w.like(n, target)
		}
	}
	return errors.Join(err, w.close())
}

// files are those of a stage, an image, or the context.
func (m *stepMounts) files(ref string) (*union.FS, *dockerfile.Ignore, error) {
	if ref == "" {
		u, err := m.s.b.files.union()
		return u, m.s.b.files.ignore, err
	}
	dirs, err := m.s.b.dirsOf(m.in, ref)
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(dirs)
	u, err := union.Open(dirs)
	return u, nil, err
}
